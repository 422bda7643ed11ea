"""What stands in the fields of a cron expression; croniter reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rqueue.errors import ConfigError

Numbers = list[Any]
"""What a field names, as croniter tells it: numbers, ``*`` and ``l``."""
Weeks = dict[int, set[int | str]]
"""The weeks of a day of the week: 1 to 5, or ``l`` for the last."""

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = ("second", "minute", "hour", "day of month", "month", "day of week")
_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_TAKEN = (
    "0-59",
    "0-59",
    "0-23",
    "1-31 or L",
    "1-12 or jan-dec",
    "0-7 or sun-sat, or else only such as 5#2 and L5",
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {"l": 31},
    {name: n for n, name in enumerate(_MONTHS, 1)},
    {name: n for n, name in enumerate(_DAYS)},
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 3, 5
_LAST_WEEKDAY = re.compile(r"([0-7]|[a-z]{3})l\Z")
_SPAN = re.compile(
    r"(?P<low>\*|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\d+))?(?P<week>#\w+)?\Z", re.ASCII
)
_RANDOM = re.compile(r"(^|[\s,])[hr]($|[\s,/(])", re.IGNORECASE)


def read_fields(text: str) -> tuple[list[Numbers], Weeks]:
    """The numbers of each field, the seconds last, and the weeks of the days of the week.

    Raises:
        ConfigError: a field cannot be read.
    """
    fields = _fields(text)
    # It takes a tenth of a second to import, and producers need none of it.
    from croniter import croniter

    def read(fields: list[str]) -> Any:
        plain = [_plain(place, field.lower()) for place, field in enumerate(fields)]
        return croniter.expand(" ".join([*plain[1:], plain[0]]))

    try:
        return read(fields)
    except (ValueError, KeyError) as error:
        place = _wrong(fields, read)
        if place is None:
            raise ConfigError(f"cron expression {text!r} cannot be read: {error}") from error
        raise ConfigError(
            f"cron expression {text!r}: the {_FIELDS[place]} {fields[place]!r} cannot be read; "
            f"it takes {_TAKEN[place]}, with * , - and / (steps up to {_size(place)})"
        ) from error


def _fields(text: object) -> list[str]:
    """Six fields as they were written, the seconds first."""
    if not isinstance(text, str):
        raise ConfigError(f"a cron expression is text, such as '*/5 * * * *', not {text!r:.80}")
    alias = text.strip().lower()
    if alias.startswith("@") and alias not in _ALIASES:
        raise ConfigError(
            f"cron expression {text!r}: there is no such alias; there are {', '.join(_ALIASES)}"
        )
    if _RANDOM.search(text):
        raise ConfigError(
            f"cron expression {text!r}: H and R draw a time; say a time, and jitter= to spread it"
        )
    fields = _ALIASES.get(alias, text).split()
    if len(fields) == 5:
        return ["0", *fields]
    if len(fields) != 6:
        raise ConfigError(
            f"cron expression {text!r} has {len(fields)} fields: it takes five (minute, hour, day "
            "of month, month, day of week), or six with seconds in front"
        )
    return fields


def _wrong(fields: list[str], read: Callable[[list[str]], Any]) -> int | None:
    """Which field, by its place, cannot be read."""
    for place, field in enumerate(fields):
        alone = ["0", "*", "*", "*", "*", "*"]
        alone[place] = field
        try:
            read(alone)
        except (ValueError, KeyError):
            return place
    return None


def _plain(place: int, field: str) -> str:
    """A field with its names and ranges written out.

    Two releases of croniter must not make two timetables. They take 5-5, and 05-5, for the whole
    field; 6 takes 59/15 for */15 and does not take 5-7; both count a step wrongly where a range
    goes over the end, as in 22-4/3, and take */90 for 0.

    Raises:
        ValueError: it cannot be read.
    """
    if not field.isascii():  # int() reads the digits of every script
        raise ValueError(field)
    return ",".join(_term(place, term) for term in field.split(","))


def _term(place: int, term: str) -> str:
    if place == _DAY_OF_WEEK:
        term = _LAST_WEEKDAY.sub(r"l\1", term)
    if term.startswith("l"):
        return _last(place, term)
    span = _SPAN.match(term)
    if span is None:
        return term
    first, last = _BOUNDS[place]
    size, step = _size(place), int(span["step"] or 1)
    if step > size:
        raise ValueError(term)
    if span["low"] == "*":
        return term
    low = _number(place, span["low"])
    high = _number(place, span["high"] or (str(last) if span["step"] else span["low"]))
    length = size if high - low == size else (high - low) % size  # 0-7: all week
    numbers = [(low + n - first) % size + first for n in range(0, length + 1, step)]
    return ",".join(f"{number}{span['week'] or ''}" for number in numbers)


def _size(place: int) -> int:
    first, last = _BOUNDS[place]
    return last - first + 1


def _last(place: int, term: str) -> str:
    if place == _DAY_OF_MONTH and term == "l":
        return term
    if place == _DAY_OF_WEEK:
        return f"l{_number(place, term[1:]) % 7}"
    raise ValueError(term)


def _number(place: int, name: str) -> int:
    number = int(name) if name.isdecimal() else _NAMES[place].get(name, -1)
    first, last = _BOUNDS[place]
    if first <= number <= last or (place == _DAY_OF_WEEK and number == 7):
        return number
    raise ValueError(name)
