"""The history of a queue as it stands in Redis: counts by task and period, and failures.

For each task and period there are names and numbers: ``s=12 f=1 u=48211 r9=12,1``, the last two
being ``r9`` and ``r10``. Whoever adds to them need not know what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_S = 24 * 3600.0
KEPT_S = 7 * DAY_S
"""What is older is forgotten; counts by the minute are kept for a day."""
MOST_FAILURES = 500
"""Of a queue, the latest; the script that books them holds that bound."""
_BY_MINUTE_MS = 3 * HOUR_MS
"""What is asked for a longer time than this is told by the hour."""

BOUNDS_S = tuple(round(10 ** (n / 10 - 3), 6) for n in range(81))
"""Upper bounds of the buckets in which durations are kept, from 1 ms to 28 h: ten to a power of
ten. They are the same in every worker, or their counts could not be added up."""
Counts = dict[str, int]
SUCCEEDED, FAILED, TIMEOUTS, LOST = "s", "f", "t", "l"
DEAD, CANCELLED, EXPIRED = "d", "x", "e"
RETRIES, SNOOZES = "a", "z"
RUN_US, WAIT_US, RUN, WAIT = "u", "v", "r", "w"
"""Sums in microseconds; ``r<n>`` and ``w<n>`` count what was within the bound of that number."""
_MOST_PLACES, _MOST_DIGITS = 100, 15
"""What the script reads as well."""
_COUNTS = re.compile(r"([a-z])(\d{0,2})=([0-9,]+)(?!\S)")


class FailureLine(msgspec.Struct, frozen=True, array_like=True):
    """A failure as it stands in Redis, as msgpack.

    Attributes:
        at_ms: when, by Redis' clock.
        task: its task's name.
        job_id: in short form.
        attempt: from 1; 0 = it was not begun.
        reason: why the job is dead; "" = it runs again.
        error: type, first line and worker as msgpack, protected as the errors of its job are.
    """

    at_ms: int
    task: str
    job_id: str
    attempt: int
    reason: str
    error: bytes


class Period(NamedTuple):
    """A minute or an hour: when it begins, and how long it is, in ms."""

    at_ms: int
    ms: int


def write(counts: Mapping[str, int]) -> str:
    """Counts as they stand in Redis; what is 0 is left out."""
    told: dict[str, dict[int, int]] = {}
    for name, count in counts.items():
        if count:
            told.setdefault(name[0], {})[int(name[1:] or 0)] = count
    return " ".join(_written(name, by_place) for name, by_place in told.items())


def _written(name: str, counts: Mapping[int, int]) -> str:
    first = min(counts)
    listed = (str(counts.get(place, "")) for place in range(first, max(counts) + 1))
    return f"{name}{first or ''}={','.join(listed)}"


def read(text: bytes) -> Counts:
    """Counts that stand in Redis; what a stranger wrote between them is passed over."""
    found: Counts = {}
    for name, first, listed in _COUNTS.findall(text.decode("utf-8", "replace")):
        for place, count in enumerate(listed.split(",", _MOST_PLACES), int(first or 0)):
            if 0 < len(count) <= _MOST_DIGITS:
                found[f"{name}{place}" if name in (RUN, WAIT) else name] = int(count)
    return found


def periods(now_ms: int, since_s: float) -> list[Period]:
    """What to read to know of this time, the earliest first: as few periods as will do.

    The first begins up to a minute earlier, or up to an hour if it is more than a day ago.
    """
    begin_ms = now_ms - round(since_s * 1000)
    at_ms = begin_ms - begin_ms % (MINUTE_MS if since_s <= DAY_S else HOUR_MS)
    is_hourly = now_ms - at_ms > _BY_MINUTE_MS
    found: list[Period] = []
    while at_ms <= now_ms:
        ms = HOUR_MS if is_hourly and at_ms % HOUR_MS == 0 else MINUTE_MS
        found.append(Period(at_ms, ms))
        at_ms += ms
    return found
