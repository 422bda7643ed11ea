"""When a schedule ticks: cron expressions in a time zone, and fixed periods.

croniter reads the expression; the ticks are computed here, because what a change of the clocks does
to them must be ours to say. croniter 7 fires ``30 2 * * *`` twice on the day on which half past two
comes twice.

Three rules, chosen with ``dst``:

- ``both``: a tick whenever the wall clock shows the time. A time that does not exist makes none,
  and one that comes twice makes two.
- ``skip``: a tick the first time that the wall clock shows the time.
- ``once``: exactly one tick for every time that stands on the calendar. A time that does not exist
  ticks when the clock jumps over it; several of them make one tick.

Left out, it is ``both`` where the hour is ``*``, or names every hour, for such an expression is a
period: ``*/5 * * * *`` must not pause for an hour in autumn, nor do more in spring. Else it is
``once``: what is done at a time of day is done every day, and not twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, Protocol, get_args

import msgspec

from rqueue.crontab import Calendar, read_calendar
from rqueue.errors import ConfigError
from rqueue.zone import LAST_S, Segment, offset_at, segments, zone_of

DST = Literal["once", "skip", "both"]
Oddity = Literal["", "moved", "repeated"]

_LONGEST_S = 366 * 86_400


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
        if not 1 <= seconds <= _LONGEST_S:
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
        Friday), ``5#2`` (its second Friday) and the aliases ``@hourly`` to ``@yearly``. A range may
        go over the end: ``22-4``, ``sat-mon``.

        Where both the day of the month and that of the week are restricted, either is enough. As
        in croniter, and unlike in some crons, ``*/2`` restricts as well: ``0 0 */2 * 1`` is every
        odd day, and every Monday. A field that names every day does not restrict where the other
        one has a ``*``.

        Raises:
            ConfigError: a field cannot be read, it never ticks, or there is no such zone or rule.
        """
        calendar = read_calendar(text)
        zone_of(tz)
        rule = dst or ("both" if calendar.is_hourly else "once")
        if rule not in get_args(DST):
            raise ConfigError(f"dst {dst!r:.80} is not one of {', '.join(get_args(DST))}")
        return cls(text=text, tz=tz, dst=rule, calendar=calendar)

    def next_after(self, ms: int) -> int | None:
        """The first tick after a moment; None = there is none before the year 2200."""
        return next(self.between(ms + 1, LAST_S * 1000), None)

    def between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Every tick from one moment to another, both included, in order."""
        first, last = -(-max(0, first_ms) // 1000), min(last_ms // 1000, LAST_S)
        done = first - 1
        for segment in segments(self.tz, first, last) if first <= last else ():
            for tick in self._ticks_of(segment, first):
                if done < tick <= last:
                    done = tick
                    yield tick * 1000

    def _ticks_of(self, segment: Segment, first: int) -> Iterator[int]:
        """Seconds since the epoch; what was before the first may be among them."""
        begin, end, offset = segment.start, segment.end, segment.offset
        shown = begin + offset
        if segment.jump > 0 and self.dst == "once":
            jumped = self.calendar.times(shown - segment.jump, shown)
            if next(jumped, None) is not None:
                yield begin
        if segment.jump < 0 and self.dst != "both":
            shown -= segment.jump
        for local in self.calendar.times(max(shown, first + offset), end + offset):
            yield local - offset

    def oddity(self, tick_ms: int) -> Oddity:
        """Whether the time of a tick does not exist (``moved``) or comes twice (``repeated``)."""
        second = tick_ms // 1000
        zone = zone_of(self.tz)
        local = datetime.fromtimestamp(second, zone)
        if local.replace(fold=1 - local.fold).utcoffset() != local.utcoffset():
            return "repeated"
        shown = second + offset_at(zone, second)
        return "" if next(self.calendar.times(shown, shown + 1), None) is not None else "moved"

    def gaps(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Moments at which the clock jumps over a time that it names, whatever the rule."""
        first, last = first_ms // 1000, last_ms // 1000
        for one in segments(self.tz, first, last):
            shown = one.start + one.offset
            if one.jump > 0 and first <= one.start <= last:
                jumped = self.calendar.times(shown - one.jump, shown)
                if next(jumped, None) is not None:
                    yield one.start * 1000
