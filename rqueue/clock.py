"""The two clocks of a process: wall time for people, monotonic time for durations."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Held:
    """A moment at which the clocks of this process stand still, ms since the epoch; None = they go.

    Set by ``rqueue.testing`` alone. While they stand, this moment is Redis' time as well in
    whatever this process asks of it.
    """

    __slots__ = ("ms",)

    def __init__(self) -> None:
        self.ms: int | None = None


held = Held()


def now_ms() -> int:
    """Milliseconds since the epoch by this machine's clock.

    Only for what people read; who owns a job and when it is due is decided by Redis' clock.
    """
    return time.time_ns() // 1_000_000 if held.ms is None else held.ms


monotonic = time.monotonic
"""Seconds of a clock that never steps; the only one that measures leases."""


def from_ms(ms: int) -> datetime:
    """An aware UTC time from milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
