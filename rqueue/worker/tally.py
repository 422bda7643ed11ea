"""What a worker has counted so far: plain numbers, which can be added up and sent on."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from operator import add

import msgspec

ATTEMPTS = ("failed", "timeout", "cancelled", "lost")
"""How an attempt ends that does not succeed; lost: it was somebody else's by then."""
ENDS = ("dead", "cancelled", "expired")
"""How a job ends that does not succeed."""
RETRIES = ("error", "timeout", "snooze")
"""Why a job runs again."""
REJECTIONS = ("unknown_task", "decode", "expired")
"""Why a job was not begun."""
TRIP_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Buckets of what trips to Redis take, seconds."""


class Exemplar(msgspec.Struct, array_like=True, frozen=True):
    """One that was counted, and the trace that tells more of it.

    Attributes:
        at: when, seconds since the epoch.
        seconds: what it took.
        trace_id: in hex.
    """

    at: float
    seconds: float
    trace_id: str


class Histogram(msgspec.Struct, array_like=True):
    """How often something took how long.

    Attributes:
        counts: for each bucket, not cumulative; the last is for what is above all bounds.
        sum: of all that was observed, seconds.
        exemplars: of each bucket the latest that was traced, by the bucket's place.
    """

    counts: list[int]
    sum: float = 0.0
    exemplars: dict[int, Exemplar] = {}

    @classmethod
    def empty(cls, bounds: Sized) -> Histogram:
        """One with so many bounds that has counted nothing."""
        return cls([0] * (len(bounds) + 1))

    def like(self) -> Histogram:
        """An empty one with as many bounds as this."""
        return Histogram([0] * len(self.counts))

    def add(self, other: Histogram) -> None:
        """Count all that another of the same bounds counted."""
        self.counts = list(map(add, self.counts, other.counts))
        self.sum += other.sum
        for place, one in list(other.exemplars.items()):
            self.show(place, one)

    def show(self, place: int, one: Exemplar) -> None:
        """Take this one for a bucket, unless there is a later one."""
        known = self.exemplars.get(place)
        if known is None or known.at < one.at:
            self.exemplars[place] = one


class TaskTally(msgspec.Struct, array_like=True):
    """Of one task in one queue.

    Attributes:
        run: what attempts took.
        succeeded: attempts, and so jobs, that did.
        attempts: by how they ended.
        ends: jobs, by how they ended.
        retries: jobs that shall run again, by reason.
        errors: failed attempts, by the type of the exception.
    """

    run: Histogram
    succeeded: int = 0
    attempts: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(ATTEMPTS, 0))
    ends: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(ENDS, 0))
    retries: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(RETRIES, 0))
    errors: dict[str, int] = {}

    def add(self, other: TaskTally) -> None:
        """Count all that another counted."""
        self.succeeded += other.succeeded
        _add(self.attempts, other.attempts)
        _add(self.ends, other.ends)
        _add(self.retries, other.retries)
        _add(self.errors, other.errors)
        self.run.add(other.run)


class QueueTally(msgspec.Struct, array_like=True):
    """Of one queue.

    Attributes:
        wait: from when a job could run until it began: neither delay nor backoff.
        total: from when it first could run until its end, with all retries.
        rejected: jobs that were not begun, by reason.
        targeted: jobs that began while their queue had a target for the wait.
        met: those of them that did not wait longer.
        reclaimed: jobs taken from dead workers.
        fenced: leases that were lost.
        restored: times that consumer groups were made again that somebody had destroyed.
    """

    wait: Histogram
    total: Histogram
    rejected: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(REJECTIONS, 0))
    targeted: int = 0
    met: int = 0
    reclaimed: int = 0
    fenced: int = 0
    restored: int = 0

    def add(self, other: QueueTally) -> None:
        """Count all that another counted."""
        self.wait.add(other.wait)
        self.total.add(other.total)
        _add(self.rejected, other.rejected)
        for name in ("targeted", "met", "reclaimed", "fenced", "restored"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Tally(msgspec.Struct, array_like=True):
    """Of one process, or of several.

    Attributes:
        tasks: by (queue, task).
        queues: by name.
        stalls: times that a task kept the event loop from turning.
        trips: what trips to Redis took, by what was asked.
        troubles: trips that failed, by how.
        reconnects: times that Redis answered again after it could not be reached.
    """

    tasks: dict[tuple[str, str], TaskTally] = {}
    queues: dict[str, QueueTally] = {}
    stalls: dict[str, int] = {}
    trips: dict[str, Histogram] = {}
    troubles: dict[str, int] = {}
    reconnects: int = 0

    def add(self, other: Tally) -> None:
        """Count all that another counted; of one that is written meanwhile, what it holds now."""
        for place, task in list(other.tasks.items()):
            if place not in self.tasks:
                self.tasks[place] = TaskTally(task.run.like())
            self.tasks[place].add(task)
        for name, queue in list(other.queues.items()):
            if name not in self.queues:
                self.queues[name] = QueueTally(queue.wait.like(), queue.total.like())
            self.queues[name].add(queue)
        _add(self.stalls, other.stalls)
        for name, trips in list(other.trips.items()):
            self.trips.setdefault(name, trips.like()).add(trips)
        _add(self.troubles, other.troubles)
        self.reconnects += other.reconnects


def _add(mine: dict[str, int], theirs: Mapping[str, int]) -> None:
    for name, count in list(theirs.items()):
        mine[name] = mine.get(name, 0) + count
