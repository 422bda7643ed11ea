"""What a worker is at: its counts, and how things stand right now."""

from __future__ import annotations

from math import inf

import msgspec

from rqueue.worker.tally import Tally


class Readings(msgspec.Struct, array_like=True, kw_only=True):
    """Of one worker process, or of several together.

    Attributes:
        tally: what was counted since the start.
        slots: how many jobs may run at a time.
        busy: how many slots are taken.
        is_draining: it takes no more jobs: it ends, or was told to be quiet.
        lag_s: by how much the event loop was late at the worst, in the last half minute.
        fetched_at: when Redis last answered a fetch, seconds since the epoch; 0 = never.
        finished_at: likewise of what was written of ended jobs.
        running: handlers at work, by (queue, task).
        longest_s: for how long the longest of them has run, by queue.
        stuck_threads: threads that still run a job whose time is over, or that was given back.
        memory_bytes: what it has in use.
        restarts: processes that were started in place of one that had ended, by reason.
    """

    tally: Tally = msgspec.field(default_factory=Tally)
    slots: int = 0
    busy: int = 0
    is_draining: bool = False
    lag_s: float = 0.0
    fetched_at: float = 0.0
    finished_at: float = 0.0
    running: dict[tuple[str, str], int] = {}
    longest_s: dict[str, float] = {}
    stuck_threads: int = 0
    memory_bytes: int = 0
    restarts: dict[str, int] = {}

    def add(self, other: Readings) -> None:
        """What stands in several processes: sums, and of the times and the lag the worst."""
        self.tally.add(other.tally)
        self.slots += other.slots
        self.busy += other.busy
        self.is_draining = self.is_draining or other.is_draining
        self.stuck_threads += other.stuck_threads
        self.memory_bytes += other.memory_bytes
        self.lag_s = max(self.lag_s, other.lag_s)
        self.fetched_at = min(self.fetched_at or other.fetched_at, other.fetched_at or inf)
        self.finished_at = max(self.finished_at, other.finished_at)
        for place, count in other.running.items():
            self.running[place] = self.running.get(place, 0) + count
        for queue, seconds in other.longest_s.items():
            self.longest_s[queue] = max(self.longest_s.get(queue, 0.0), seconds)
