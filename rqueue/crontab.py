"""The days and times of day that a cron expression names."""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

import msgspec

from rqueue.cronfields import Numbers, Weeks, read_fields
from rqueue.errors import ConfigError

_DAY_S, _HOUR_S = 86_400, 3_600
_SAMPLE = range(date(2000, 1, 1).toordinal(), date(2400, 1, 1).toordinal())
"""Four hundred years: then the calendar repeats itself."""
_EPOCH = date(1970, 1, 1).toordinal()


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """The days and times of day of an expression.

    Attributes:
        hours: which, ascending.
        moments: seconds of each of these hours, ascending.
        months: which, or all.
        days: of the month, or any; with ``has_last`` its last one too.
        weekdays: or any; from Sunday on the weeks that count (1 to 5, ``l`` for the last, none for
            all), or that the day does not.
        is_hourly: whether it names every hour.
    """

    hours: tuple[int, ...]
    moments: tuple[int, ...]
    months: frozenset[int] | None
    days: frozenset[int] | None
    has_last: bool
    weekdays: tuple[frozenset[int | str] | None, ...] | None
    is_hourly: bool

    def times(self, first: int, end: int) -> Iterator[int]:
        """Every time from one to before another: seconds that a wall clock shows since 1970."""
        for day in range(first // _DAY_S, -(-end // _DAY_S)):
            if not self.has_day(day + _EPOCH):
                continue
            for hour in self.hours:
                begin = day * _DAY_S + hour * _HOUR_S
                low = bisect_left(self.moments, first - begin)
                high = bisect_left(self.moments, end - begin)
                for moment in self.moments[low:high]:
                    yield begin + moment

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
        weeks = self.weekdays[day.isoweekday() % 7] if self.weekdays else None
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
    expanded, weeks = read_fields(text)
    minutes, hours, days, months, weekdays, seconds = expanded
    made = Calendar(
        hours=_numbers(hours, 24),
        moments=tuple(m * 60 + s for m in _numbers(minutes, 60) for s in _numbers(seconds, 60)),
        months=_restricted(months),
        days=_restricted(days),
        has_last="l" in days,
        weekdays=_weekdays(weekdays, weeks),
        is_hourly="*" in hours,
    )
    if not any(map(made.has_day, _SAMPLE)):
        raise ConfigError(
            f"cron expression {text!r} never ticks: there is no such day. "
            "Look at its day of the month and its month"
        )
    return made


def _numbers(found: Numbers, top: int) -> tuple[int, ...]:
    return tuple(range(top)) if "*" in found else tuple(sorted(found))


def _restricted(found: Numbers) -> frozenset[int] | None:
    return None if "*" in found else frozenset(one for one in found if one != "l")


def _weekdays(found: Numbers, weeks: Weeks) -> tuple[frozenset[int | str] | None, ...] | None:
    if "*" in found:
        return None
    return tuple(frozenset(weeks.get(day, ())) if day in found else None for day in range(7))
