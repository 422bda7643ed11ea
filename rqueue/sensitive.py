"""Arguments that nobody shall see who has no business with them: ``Sensitive[str]``.

They travel and reach the task as they are. What is told of a call, in errors, logs, events and on
the command line, shows ``[redacted]`` in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from rqueue.redaction import REDACTED, Redact, redacting, unchanged, withheld

T = TypeVar("T")
Arguments = tuple[Sequence[Any], Mapping[str, Any]]

Place = int | str
"""Which argument: by its position from 0, or by its name."""


class Marker:
    """What ``Sensitive[...]`` puts on a type."""

    def __repr__(self) -> str:
        """As it stands in the text of a function's parameters."""
        return "sensitive"


Sensitive: TypeAlias = Annotated[T, Marker()]
"""A parameter whose value is told to nobody but the task: ``password: Sensitive[str]``."""

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def is_sensitive(hint: Any, seen: dict[int, Any] | None = None) -> bool:
    """Whether a type is marked, or anything in it: one part of a value makes all of it so."""
    seen = {} if seen is None else seen
    if id(hint) in seen:  # a type that contains itself
        return False
    seen[id(hint)] = hint  # kept, or another type might get its id
    if any(isinstance(one, Marker) for one in getattr(hint, "__metadata__", ())):
        return True
    inner = [*get_args(hint), get_origin(hint)]
    inner += [getattr(hint, name, None) for name in ("__value__", "__supertype__")]
    if isinstance(hint, type):
        inner += _fields(hint)
    return any(is_sensitive(one, seen) for one in inner if one is not None)


def _fields(kind: type[Any]) -> list[Any]:
    try:
        return list(get_type_hints(kind, include_extras=True).values())
    except (NameError, TypeError, AttributeError):  # names that only type checkers can see
        return []


class Hidden:
    """Which arguments of a function's calls are sensitive.

    Args:
        parameters: the function's, without the context.
        types: the annotation of each, by name.
    """

    def __init__(self, parameters: Sequence[Parameter], types: Mapping[str, Any]) -> None:
        marked = {p.name for p in parameters if is_sensitive(types[p.name])}
        self._by_place = [p.name in marked for p in parameters if p.kind in _POSITIONAL]
        self._known = {p.name for p in parameters if p.kind in _NAMED}
        self._by_name = marked & self._known
        self._rest = any(p.name in marked for p in parameters if p.kind is p.VAR_POSITIONAL)
        self._more = any(p.name in marked for p in parameters if p.kind is p.VAR_KEYWORD)
        self._marked = frozenset(marked)
        self._defaults = [
            p.default for p in parameters if p.name in marked and p.default is not p.empty
        ]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._marked)

    def places(self, count: int, names: Iterable[str]) -> tuple[Place, ...]:
        """Where they stand in a call with so many arguments by position, and these by name."""
        if not self._marked:
            return ()
        known = len(self._by_place)
        placed = [n for n in range(count) if (self._by_place[n] if n < known else self._rest)]
        named = [
            name
            for name in names
            if name in self._by_name or (self._more and name not in self._known)
        ]
        return (*placed, *named)

    def shown(self, signature: Signature) -> str:
        """The parameters as errors name them: a sensitive default is not told."""
        bare = [
            p.replace(default=_Blot()) if p.name in self._marked and p.default is not p.empty else p
            for p in signature.parameters.values()
        ]
        return str(signature.replace(parameters=bare))

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Redact:
        """What takes the sensitive ones of these arguments out of texts."""
        values = _picked(self.places(len(args), kwargs), (args, kwargs))
        return redacting([*values, *self._defaults])

    def values(
        self, encoded: tuple[Any, Any], also: Iterable[Place] = (), *, is_json: bool = False
    ) -> list[Any]:
        """The sensitive ones of encoded arguments, without their types; ``also`` names more."""
        also = set(also)
        if not self and not also:
            return []
        args, kwargs = _plain(*encoded, is_json=is_json)
        places = also.union(self.places(len(args), kwargs))
        return [*_picked(places, (args, kwargs)), *self._defaults]

    def redactor(
        self,
        encoded: tuple[Any, Any],
        typed: Callable[[], Arguments],
        also: Iterable[Place] = (),
        *,
        is_json: bool = False,
        secrets: Iterable[Any] = (),
    ) -> Redact:
        """What takes the sensitive ones of encoded arguments out of texts about their call.

        They are decoded afresh: the task may have changed the values that it was given.

        Args:
            encoded: by position and by name.
            typed: decodes them as the task has seen them; it may raise anything.
            also: further ones that the producer hides.
            is_json: whether they are JSON instead of msgpack.
            secrets: values that are hidden whatever the arguments are.
        """
        also, secrets = set(also), list(secrets)
        if not self and not also and not secrets:
            return unchanged
        try:
            args, kwargs = _plain(*encoded, is_json=is_json)
        except Exception:  # bytes of a stranger: what is sensitive in them is not known
            return withheld
        places = also.union(self.places(len(args), kwargs))
        values = [*secrets, *_picked(places, (args, kwargs)), *self._defaults]
        try:
            values += _picked(places, typed())
        except Exception:  # they do not fit, so the task has seen none of them
            return redacting(values)
        return redacting(values)


class _Blot:
    """A value that shows itself as redacted, in place of a default."""

    def __repr__(self) -> str:
        """What stands for it."""
        return REDACTED


def covered(
    places: Iterable[Place], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Arguments as they may be shown."""
    hidden = set(places)
    shown = [REDACTED if n in hidden else value for n, value in enumerate(args)]
    return shown, {k: REDACTED if k in hidden else value for k, value in kwargs.items()}


def _picked(places: Iterable[Place], arguments: Arguments) -> list[Any]:
    args, kwargs = arguments
    hidden = set(places)
    placed = [value for n, value in enumerate(args) if n in hidden]
    return [*placed, *(value for name, value in kwargs.items() if name in hidden)]


def _plain(args: Any, kwargs: Any, *, is_json: bool) -> Arguments:
    """Encoded arguments without their types."""
    read = msgspec.json.decode if is_json else msgspec.msgpack.decode
    return read(args, type=list[Any]), read(kwargs, type=dict[str, Any])
