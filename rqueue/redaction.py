"""Taking values out of texts: out of the messages and tracebacks of a call that has secrets."""

from __future__ import annotations

import dataclasses
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, time
from enum import Enum
from itertools import chain
from typing import Any, cast
from urllib.parse import quote, quote_plus

import msgspec

REDACTED = "[redacted]"

Redact = Callable[[str], str]
"""From a text to the same text without what must not be seen."""

_SHORT = 4
_MOST_FORMS = 2_000
"""More spellings than this are not looked for one by one: nothing is told then."""


def unchanged(text: str) -> str:
    """A text with nothing in it to hide."""
    return text


def withheld(_text: str) -> str:
    """No text at all: what would have to be hidden is not known."""
    return REDACTED


def redacting(values: Iterable[Any]) -> Redact:
    """Take these values out of texts, however Python spells them.

    A spelling of four characters or more is taken out wherever it stands, a shorter one only
    where it stands alone as a word: ``123`` is hidden in ``cvc 123``, not in ``0.1234``. Empty
    text, None, True and False are not looked for.
    """
    found: set[str] = set()
    try:
        for form in chain.from_iterable(map(_forms, values)):
            found.update((form, form.strip()))
            if len(found) > _MOST_FORMS:
                return withheld
    except Exception:  # a type of the task's own may raise anything when it is looked into
        return withheld
    wanted = sorted(filter(str.strip, found), key=len, reverse=True)
    if not wanted:
        return unchanged
    pattern = re.compile("|".join(map(_pattern, wanted)))
    return lambda text: pattern.sub(REDACTED, text)


def _pattern(form: str) -> str:
    plain = re.escape(form)
    return plain if len(form) >= _SHORT else rf"(?<!\w){plain}(?!\w)"


def _forms(value: Any) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        yield from _of_text(value)
    elif isinstance(value, bytes | bytearray):
        yield from _of_text(bytes(value).decode("utf-8", "replace"))
        yield from (value.hex(), b64encode(value).decode(), repr(bytes(value))[2:-1])
    else:
        inner = _inner(value)
        if inner or inner is None:
            yield from _told(value)
        for one in inner or ():
            yield from _forms(one)


def _of_text(text: str) -> Iterator[str]:
    """A text as it is, quoted once or twice, and line by line (a report indents lines).

    Also as JSON, as bytes, and as it stands in a URL.
    """
    quoted = repr(text)[1:-1]
    yield from (text, quoted, repr(quoted)[1:-1], ascii(text)[1:-1])
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    data = text.encode("utf-8", "surrogatepass")
    yield from (repr(data)[2:-1], quote(data, safe=""), quote_plus(data))
    yield from text.splitlines()


def _told(value: Any) -> Iterator[str]:
    for tell in (str, repr):
        # A type of the task's own may raise anything; then its text is in no other text either.
        with suppress(Exception):
            yield tell(value)
    if isinstance(value, date | time):
        yield value.isoformat()


def _inner(value: Any) -> list[Any] | None:
    """What a value is made of; None for one that has no parts."""
    if isinstance(value, Enum):
        return [value.value, value.name]
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return [one for item in items for one in item]
    if isinstance(value, Sequence | AbstractSet):
        return list(cast("Iterable[Any]", value))
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return None
