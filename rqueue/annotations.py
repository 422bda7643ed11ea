"""Which annotations of a task's parameters and result can travel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_origin, get_type_hints

import msgspec

from rqueue.context import Context
from rqueue.errors import ConfigError
from rqueue.sensitive import is_sensitive

_PLAIN = (str, int, float, bool, bytes, type(None))


def hints_of(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """A function's annotations by parameter, and by ``return``; ``name`` is for errors.

    Raises:
        ConfigError: one names what cannot be found at run time.
    """
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        message = (
            f"{name}: an annotation cannot be resolved: {error}. rqueue decodes by "
            "annotations, so their names must be importable at run time, not only under "
            "TYPE_CHECKING"
        )
        raise ConfigError(message) from error


def travelling(function: str, name: str, hint: Any) -> Any:
    """Return the annotation of a parameter, or of ``return``.

    Raises:
        ConfigError: values of it cannot travel.
    """
    try:
        custom = _custom_types(msgspec.inspect.type_info(hint))
    except (TypeError, ValueError, NameError) as error:
        message = f"{function}: the annotation of {name!r} cannot travel: {error}"
        raise ConfigError(message) from error
    if name == "return" and is_sensitive(hint):
        message = (
            f"{function}: a result cannot be Sensitive, only arguments can. Encrypt results "
            "with App(protection=Encrypted(...)), or return a reference"
        )
        raise ConfigError(message)
    if is_context(hint):
        message = f"{function}: {name!r} is a Context, which must be the first parameter"
        raise ConfigError(message)
    if custom:
        message = (
            f"{function}: the annotation of {name!r} contains {', '.join(custom)}, which "
            "cannot travel. Use builtin types, dataclasses, msgspec.Struct, TypedDict, Enum, "
            "datetime, UUID or Decimal, or pass an id and load the object in the task"
        )
        raise ConfigError(message)
    return hint


def is_context(hint: Any) -> bool:
    """Whether it is the context, which does not travel."""
    return hint is Context or get_origin(hint) is Context


def is_plain(hint: Any) -> bool:
    """Whether a value of exactly this type fits as it is, and holds no other."""
    return any(hint is kind for kind in _PLAIN)


def _custom_types(info: Any, seen: set[int] | None = None) -> list[str]:
    """The names of the types in it that msgspec does not know, those in fields included."""
    seen = set() if seen is None else seen
    if id(info) in seen:  # a type that contains itself
        return []
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        return [getattr(info.cls, "__qualname__", repr(info.cls))]
    inner: list[Any] = [field.type for field in getattr(info, "fields", ())]
    for name in ("item_type", "key_type", "value_type", "item_types", "types"):
        found = getattr(info, name, ())
        inner += cast("tuple[Any, ...]", found) if isinstance(found, tuple) else (found,)
    return [name for item in inner for name in _custom_types(item, seen)]
