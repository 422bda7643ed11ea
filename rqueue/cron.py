"""When a schedule ticks: cron expressions in a time zone, and fixed periods.

croniter reads the expression; the ticks are computed here, because what a change of the clocks does
to them must be ours to say. croniter 7 fires ``30 2 * * *`` twice on the day on which half past two
comes twice.

Three rules, chosen with ``dst``:

- ``both``: a tick whenever the wall clock shows the time. A time that does not exist makes none, and
  one that comes twice makes two.
- ``skip``: a tick the first time that the wall clock shows the time.
- ``once``: exactly one tick for every time that stands on the calendar. A time that does not exist
  ticks when the clock jumps over it; several of them make one tick.

Left out, it is ``both`` where the hour is ``*``, for such an expression is a period: ``*/5 * * * *``
must not pause for an hour in autumn, nor do more in spring. Else it is ``once``.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from rqueue.errors import ConfigError

DST = Literal["once", "skip", "both"]
Oddity = Literal["", "moved", "repeated"]

_DAY_S = 86_400
_LAST_S = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
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
_RANDOM = re.compile(r"(^|[\s,])[hr]($|[\s,/(])", re.IGNORECASE)


class Ticks(Protocol):
    """Moments, ms since the epoch."""

    def next_after(self, ms: int) -> int | None:
        """The first tick after a moment; None = there is none before the year 2200."""
        ...

    def between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Every tick from one moment to another, both included, in order."""
        ...


class Every(msgspec.Struct, frozen=True):
    """A period: ticks at its multiples since 1970, so that every process agrees on them."""

    every_ms: int

    @classmethod
    def of(cls, seconds: float) -> Every:
        """From a number of seconds.

        Raises:
            ConfigError: it is shorter than a second or longer than a year.
        """
        if not 1 <= seconds <= 366 * _DAY_S:
            raise ConfigError(f"every {seconds:g} s: a period is from 1 second to 366 days")
        return cls(round(seconds * 1000))

    def next_after(self, ms: int) -> int | None:
        """The next multiple."""
        return (ms // self.every_ms + 1) * self.every_ms

    def between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Every multiple."""
        first = -(-first_ms // self.every_ms) * self.every_ms
        return iter(range(first, last_ms + 1, self.every_ms))


class Cron(msgspec.Struct, frozen=True, kw_only=True):
    """A cron expression in a zone.

    Attributes:
        text: as it was written.
        tz: the zone's name.
        dst: the rule in force.
        calendar: the days and times of day that it names.
    """

    text: str
    tz: str
    dst: DST
    calendar: Calendar

    @classmethod
    def parse(cls, text: str, tz: str = "UTC", dst: DST | None = None) -> Cron:
        """Read an expression of five fields, or of six with seconds in front.

        Names, ranges, steps, lists, ``L`` (the last day of the month), ``L5`` or ``5L`` (its last
        Friday), ``5#2`` (its second Friday) and the aliases ``@hourly`` to ``@yearly``. Where both
        the day of the month and that of the week are restricted, either is enough.

        Raises:
            ConfigError: a field cannot be read, it never ticks, or there is no such zone.
        """
        calendar = _calendar(text)
        _zone(tz)
        is_period = calendar.is_hourly
        return cls(
            text=text, tz=tz, dst=dst or ("both" if is_period else "once"), calendar=calendar
        )

    def next_after(self, ms: int) -> int | None:
        """The first tick after a moment; None = there is none before the year 2200."""
        return next(self.between(ms + 1, _LAST_S * 1000), None)

    def between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Every tick from one moment to another, both included, in order."""
        first, last = -(-max(0, first_ms) // 1000), min(last_ms // 1000, _LAST_S)
        done = first - 1
        for segment in _segments(self.tz, first, last):
            for tick in self._ticks_of(segment):
                if done < tick <= last:
                    done = tick
                    yield tick * 1000

    def _ticks_of(self, segment: Segment) -> Iterator[int]:
        """Seconds since the epoch, not quite in the bounds of what is asked for."""
        begin, end, offset = segment.start, segment.end, segment.offset
        shown = begin + offset
        if segment.jump > 0 and self.dst == "once":
            jumped = self.calendar.times(shown - segment.jump, shown)
            if next(jumped, None) is not None:
                yield begin
        if segment.jump < 0 and self.dst != "both":
            shown -= segment.jump
        for local in self.calendar.times(shown, end + offset):
            yield local - offset

    def oddity(self, tick_ms: int) -> Oddity:
        """Whether a tick is ``moved`` (its time does not exist) or ``repeated`` (it comes twice)."""
        second = tick_ms // 1000
        zone = _zone(self.tz)
        local = datetime.fromtimestamp(second, zone)
        other = local.replace(fold=1 - local.fold)
        if other.utcoffset() != local.utcoffset() and _exists(local):
            return "repeated"
        wall = local.replace(tzinfo=None) - datetime(1970, 1, 1)
        shown = round(wall.total_seconds())
        return "" if next(self.calendar.times(shown, shown + 1), None) is not None else "moved"


def _exists(local: datetime) -> bool:
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) == local.replace(tzinfo=None)


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
def _calendar(text: str) -> Calendar:
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
    fields[5] = _LAST_WEEKDAY.sub(r"l\1", fields[5])
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
        raise ConfigError(
            f"cron expression {text!r}: the {_FIELDS[place]} {fields[place - 1]!r} cannot be read; "
            f"it takes {_BOUNDS[place]}, with * , - and /"
        ) from error
    return [list(one) for one in expanded], {day: set(found) for day, found in weeks.items()}


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


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        known = available_timezones()
        if not known:
            hint = "this system has no time zones: install the package tzdata"
        else:
            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "use a name such as 'Europe/Rome'"
        raise ConfigError(f"there is no time zone {name!r:.80}; {hint}") from error


class Segment(msgspec.Struct, frozen=True):
    """A time in which a zone's offset stays; seconds since the epoch.

    Attributes:
        start: its first second.
        end: the first one that is not in it any more.
        offset: local time less UTC.
        jump: how much the wall clock jumped ahead at its start; negative = it was set back.
    """

    start: int
    end: int
    offset: int
    jump: int


def _segments(tz: str, first: int, last: int) -> Iterator[Segment]:
    """The segments around a time, in order; the first begins at a change at most two days before."""
    start = first - 2 * _DAY_S
    offset, jump = _offset(_zone(tz), start), 0
    for year in range(datetime.fromtimestamp(max(0, start), UTC).year, 2201):
        for change in _changes(tz, year):
            if change <= start:
                continue
            yield Segment(start, change, offset, jump)
            if change > last:
                return
            after = _offset(_zone(tz), change)
            start, offset, jump = change, after, after - offset
        if datetime(year + 1, 1, 1, tzinfo=UTC).timestamp() > last:
            break
    yield Segment(start, last + 1, offset, jump)


@lru_cache(maxsize=4096)
def _changes(tz: str, year: int) -> tuple[int, ...]:
    """The seconds of a year at which the zone's offset becomes another."""
    zone = _zone(tz)
    day = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    found: list[int] = []
    before = _offset(zone, day)
    while day < end:
        after = _offset(zone, day + _DAY_S)
        if after != before:
            offset = before
            found.append(
                bisect_right(
                    range(day, day + _DAY_S + 1), 0, key=lambda at: _offset(zone, at) != offset
                )
                + day
            )
        before, day = after, day + _DAY_S
    return tuple(found)


def _offset(zone: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset() or timedelta()
    return int(offset.total_seconds())
