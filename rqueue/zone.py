"""Time zones as times of one offset each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

import msgspec

from rqueue.errors import ConfigError
from rqueue.suggestion import did_you_mean

_DAY_S = 86_400
LAST_S = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
"""Seconds since the epoch beyond which nothing is planned."""


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """A time zone by its name; UTC needs no data.

    Raises:
        ConfigError: there is none.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        known = available_timezones()
        if known:
            hint = did_you_mean(str(name), known, "; use a name such as 'Europe/Rome'")
        else:
            hint = "; this system has no time zones: install the package tzdata"
        raise ConfigError(f"there is no time zone {name!r:.80}{hint}") from error


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


def segments(tz: str, first: int, last: int) -> Iterator[Segment]:
    """The segments of a time, in order, each of a year at the most: a look ahead may end soon.

    The first begins two days before it: what a change does to the ticks ends within a day.
    """
    start = first - 2 * _DAY_S
    offset, jump = offset_at(zone_of(tz), start), 0
    for year in range(datetime.fromtimestamp(max(0, start), UTC).year, 2201):
        for change in _changes(tz, year):
            if change <= start:
                continue
            yield Segment(start, change, offset, jump)
            if change > last:
                return
            after = offset_at(zone_of(tz), change)
            start, offset, jump = change, after, after - offset
        end = _new_year(year + 1)
        if end > last:
            break
        if end > start:
            yield Segment(start, end, offset, jump)
            start, jump = end, 0
    yield Segment(start, last + 1, offset, jump)


@lru_cache(maxsize=4096)
def _changes(tz: str, year: int) -> tuple[int, ...]:
    """The seconds of a year at which the zone's offset becomes another."""
    zone = zone_of(tz)
    day, end = _new_year(year), _new_year(year + 1)
    found: list[int] = []
    before = offset_at(zone, day)
    while day < end:
        after = offset_at(zone, day + _DAY_S)
        if after != before:
            offset = before
            found.append(
                bisect_right(
                    range(day, day + _DAY_S + 1), 0, key=lambda at: offset_at(zone, at) != offset
                )
                + day
            )
        before, day = after, day + _DAY_S
    return tuple(found)


@lru_cache(maxsize=512)
def _new_year(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


def offset_at(zone: tzinfo, second: int) -> int:
    """Seconds by which the wall clock is ahead of UTC at a moment."""
    offset = datetime.fromtimestamp(second, zone).utcoffset() or timedelta()
    return int(offset.total_seconds())
