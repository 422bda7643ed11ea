"""The days and times of day that a cron expression names; croniter reads its fields."""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from rqueue.errors import ConfigError

_DAY_S = 86_400
_SAMPLE = range(date(2000, 1, 1).toordinal(), date(2400, 1, 1).toordinal())
"""Four hundred years: then the calendar repeats itself."""
_EPOCH = date(1970, 1, 1).toordinal()
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
_BOUNDS = ("0-59", "0-59", "0-23", "1-31 or L", "1-12 or jan-dec", "0-7 or sun-sat, 5#2, L5")
_LAST_WEEKDAY = re.compile(r"\b([0-7]|[a-z]{3})l\b")
_ONE = re.compile(r"\b(\w+)-\1\b(?:/\d+)?")
"""A range of one: croniter takes 5-5 for the whole field."""
_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_RANDOM = re.compile(r"(^|[\s,])[hr]($|[\s,/(])", re.IGNORECASE)


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """The days and times of day of an expression.

    Attributes:
        moments: seconds of the day, ascending.
        months: which, or all.
        days: of the month, or any; with ``has_last`` its last one too.
        weekdays: 0 = Sunday, or any; of each the weeks that count: 1 to 5, or ``l`` for the last.
        is_hourly: whether it names no hour.
    """

    moments: tuple[int, ...]
    months: frozenset[int] | None
    days: frozenset[int] | None
    has_last: bool
    weekdays: dict[int, frozenset[int | str]] | None
    is_hourly: bool

    def times(self, first: int, end: int) -> Iterator[int]:
        """Every time from one to before another: seconds that a wall clock shows since 1970."""
        for day in range(first // _DAY_S, -(-end // _DAY_S)):
            if not self.has_day(day + _EPOCH):
                continue
            midnight = day * _DAY_S
            begin = bisect_left(self.moments, first - midnight)
            stop = bisect_left(self.moments, end - midnight)
            for moment in self.moments[begin:stop]:
                yield midnight + moment

    def has_day(self, ordinal: int) -> bool:
        """Whether it names this day."""
        day = date.fromordinal(ordinal)
        if self.months is not None and day.month not in self.months:
            return False
        if self.days is None:
            return self.weekdays is None or self._has_weekday(day)
        if day.day in self.days or (
            self.has_last and day.day == monthrange(day.year, day.month)[1]
        ):
            return True
        return self.weekdays is not None and self._has_weekday(day)

    def _has_weekday(self, day: date) -> bool:
        weeks = (self.weekdays or {}).get(day.isoweekday() % 7)
        if weeks is None:
            return False
        is_last = day.day + 7 > monthrange(day.year, day.month)[1]
        return not weeks or (day.day - 1) // 7 + 1 in weeks or ("l" in weeks and is_last)


@lru_cache(maxsize=1024)
def read_calendar(text: str) -> Calendar:
    """Read an expression; see ``Cron.parse``.

    Raises:
        ConfigError: a field cannot be read, or it never ticks.
    """
    fields = _fields(text)
    expanded, weeks = _expand(text, fields)
    hours, minutes, seconds = (_numbers(expanded[n], top) for n, top in ((1, 24), (0, 60), (5, 60)))
    days: list[Any] = expanded[2]
    made = Calendar(
        moments=tuple(h * 3600 + m * 60 + s for h in hours for m in minutes for s in seconds),
        months=_restricted(expanded[3]),
        days=_restricted([day for day in days if day != "l"]) if days != ["l"] else frozenset(),
        has_last="l" in days,
        weekdays=_weekdays(expanded[4], weeks),
        is_hourly=expanded[1] == ["*"],
    )
    if not any(map(made.has_day, _SAMPLE)):
        raise ConfigError(
            f"cron expression {text!r} never ticks: there is no such day. "
            "Look at its day of the month and its month"
        )
    return made


def _last_weekday(found: re.Match[str]) -> str:
    """``5L`` and ``friL`` as croniter writes them."""
    day = found[1]
    return f"l{_NAMES.index(day) if day in _NAMES else day}"


def _fields(text: object) -> list[str]:
    """Six fields, the seconds last, as croniter has them."""
    if not isinstance(text, str):
        raise ConfigError(f"a cron expression is text, such as '*/5 * * * *', not {text!r:.80}")
    lowered = text.strip().lower()
    if lowered.startswith("@") and lowered not in _ALIASES:
        raise ConfigError(
            f"cron expression {text!r}: there is no such alias; there are {', '.join(_ALIASES)}"
        )
    if _RANDOM.search(lowered):
        raise ConfigError(
            f"cron expression {text!r}: H and R draw a time; say a time, and jitter= to spread it"
        )
    fields = _ALIASES.get(lowered, lowered).split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6:
        raise ConfigError(
            f"cron expression {text!r} has {len(fields)} fields: it takes five (minute, hour, day "
            "of month, month, day of week), or six with seconds in front"
        )
    fields = [_ONE.sub(r"\1", field) for field in fields]
    fields[5] = _LAST_WEEKDAY.sub(_last_weekday, fields[5])
    return [*fields[1:], fields[0]]


def _expand(text: str, fields: list[str]) -> tuple[list[list[Any]], dict[int, set[int | str]]]:
    # It takes a tenth of a second to import, and producers need none of it.
    from croniter import croniter

    try:
        expanded, weeks = croniter.expand(" ".join(fields))
    except (ValueError, KeyError) as error:
        place = _wrong(fields, croniter.expand)
        if place is None:
            raise ConfigError(f"cron expression {text!r} cannot be read: {error}") from error
        raise _unreadable(text, fields, place) from error
    if "w" in fields[2]:  # croniter takes 15W for 15
        raise _unreadable(text, fields, 3)
    return [list(one) for one in expanded], {day: set(found) for day, found in weeks.items()}


def _unreadable(text: str, fields: list[str], place: int) -> ConfigError:
    return ConfigError(
        f"cron expression {text!r}: the {_FIELDS[place]} {fields[place - 1]!r} cannot be read; "
        f"it takes {_BOUNDS[place]}, with * , - and /"
    )


def _wrong(fields: list[str], expand: Callable[[str], Any]) -> int | None:
    """Which field, by its place in ``_FIELDS``, cannot be read."""
    for place in (1, 2, 3, 4, 5, 0):
        alone = ["*"] * 5 + ["0"]
        alone[place - 1] = fields[place - 1]
        try:
            expand(" ".join(alone))
        except (ValueError, KeyError):
            return place
    return None


def _numbers(found: list[Any], top: int) -> list[int]:
    return list(range(top)) if found == ["*"] else sorted(found)


def _restricted(found: list[Any]) -> frozenset[int] | None:
    return None if found == ["*"] else frozenset(found)


def _weekdays(
    found: list[Any], weeks: dict[int, set[int | str]]
) -> dict[int, frozenset[int | str]] | None:
    if found == ["*"]:
        return None
    return {day % 7: frozenset(weeks.get(day, ())) for day in found}
