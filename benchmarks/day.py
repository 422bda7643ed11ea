"""A day of load, and the replicas that follow it.

No process is started: jobs arrive, wait and take two seconds each by a clock that is set, and what
starts and stops the replicas is what ``rqueue exporter`` tells under ``/scale``.
"""

from __future__ import annotations

import random
from collections import deque
from math import ceil, pi, sin
from typing import NamedTuple

from rqueue.scaling import Hold, desired

DAY_S = 24 * 3600
SLOTS = 20
JOB_S = 2
POLL_S = 15
START_S = 30
"""Seconds until a new replica takes jobs."""
TARGET_S = 10.0
MOST = 40
"""Replicas that whoever scales allows."""
BURST = (15 * 3600, 15 * 3600 + 300)
_BUSY = (6 * 3600, 22 * 3600)
_PEAK = 100.0


class Second(NamedTuple):
    """One second of the day.

    Attributes:
        arrived: jobs that came.
        waited_s: how long the oldest of those had waited that were begun; None = none was.
        replicas: that were there, ready or not.
    """

    arrived: int
    waited_s: int | None
    replicas: int


def load(second: int, chance: random.Random) -> int:
    """Jobs that come in a second: none at night, a hundred at noon, four times that in a burst."""
    begin, end = _BUSY
    if not begin <= second < end:
        return 0
    mean = _PEAK * sin(pi * (second - begin) / (end - begin))
    if BURST[0] <= second < BURST[1]:
        mean *= 4
    return max(0, round(chance.gauss(mean, mean**0.5)))


def play(hold_s: float = 300.0, seed: int = 1) -> list[Second]:
    """The day, second after second."""
    chance, hold = random.Random(seed), Hold(hold_s)
    waiting: deque[tuple[int, int]] = deque()
    running: deque[int] = deque([0] * JOB_S)
    starts: list[int] = []
    seen: list[Second] = []
    for now in range(DAY_S):
        arrived = load(now, chance)
        if arrived:
            waiting.append((now, arrived))
        running.popleft()
        free = SLOTS * sum(now >= start + START_S for start in starts) - sum(running)
        begun, waited = _begin(waiting, max(0, free), now)
        running.append(begun)
        if now % POLL_S == 0:
            ready, oldest = (
                sum(count for _, count in waiting),
                now - waiting[0][0] if waiting else 0,
            )
            wanted = desired(ready + sum(running), SLOTS, oldest, TARGET_S)
            starts = _scaled(starts, min(MOST, hold.held("day", wanted, now)), sum(running), now)
        seen.append(Second(arrived, waited, len(starts)))
    return seen


def _begin(waiting: deque[tuple[int, int]], free: int, now: int) -> tuple[int, int | None]:
    """How many are begun, the first come first, and how long the first of them had waited."""
    begun, waited = 0, now - waiting[0][0] if waiting and free else None
    while waiting and begun < free:
        at, count = waiting.popleft()
        taken = min(count, free - begun)
        begun += taken
        if taken < count:
            waiting.appendleft((at, count - taken))
    return begun, waited


def _scaled(starts: list[int], wanted: int, running: int, now: int) -> list[int]:
    """So many replicas; what runs is let end, so as many stay as it needs."""
    if wanted < len(starts):
        return starts[: max(wanted, ceil(running / SLOTS))]
    return starts + [now] * (wanted - len(starts))
