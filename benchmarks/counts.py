"""What a job costs in things that can be counted, which a busy machine does not change.

Everything is counted at two sizes, and the difference divided by the jobs between them: what
starting and ending cost cancels itself out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import rqueue
from benchmarks.peers import LIMIT, RQUEUE, Peer
from benchmarks.stand import Stand, rest
from rqueue.store.scripts import ALL

Counts = dict[str, float]
BARE = "drain, limit"
"""The same for the bare loop: what ``drain`` is compared with, and nothing is asked of."""
SIZES = (600, 2_600)
"""Between powers of two, where tables of Redis double, whatever few keys there are beside."""
_OURS = str(Path(rqueue.__file__).parent)
_DUE_IN_S = 3600


def count(stand: Stand, measure: str) -> Counts:
    """Each count per job."""
    # Or the first run alone would send their texts, and take them off the others.
    for script in ALL:
        stand.redis.script_load(script.source)
    small, large = (MEASURES[measure](stand, jobs) for jobs in SIZES)
    return {name: (large[name] - small[name]) / (SIZES[1] - SIZES[0]) for name in large}


def _sent(stand: Stand, role: str, jobs: int) -> Counts:
    """What a producer costs."""
    stand.clear()
    with _Meter(stand) as meter:
        calls = stand.produce(RQUEUE, role, count=jobs, profile=True)["calls"]
    return {**meter.counts(), **_called(calls)}


def _drained(stand: Stand, peer: Peer, jobs: int) -> Counts:
    """What a worker costs that finds a backlog."""
    stand.clear()
    stand.produce(RQUEUE, "fill", count=jobs)
    with stand.worker(peer, profile=True) as worker, _Meter(stand) as meter:
        worker.until_ran(jobs)
        rest()
        worker.end()
        calls = worker.calls()
    return {**meter.counts(), **_called(calls), "left bytes": stand.usage()}


def _kept(stand: Stand, jobs: int) -> Counts:
    """What a job takes in Redis that waits there."""
    stand.clear()
    stand.produce(RQUEUE, "fill", count=jobs)
    queued = stand.usage()
    stand.clear()
    stand.produce(RQUEUE, "delayed", count=jobs, at=time.time() + _DUE_IN_S)
    return {"queued bytes": queued, "delayed bytes": stand.usage()}


class _Meter:
    """Reads what the server counts, on the way in and on the way out."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._before = self._stand.cost()
        self._monitor = self._stack.enter_context(self._stand.monitored())
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()
        self._spent = self._stand.cost() - self._before

    def counts(self) -> Counts:
        """Without what the monitor was told."""
        return {
            "client commands": self._monitor.commands,
            "all commands": self._spent.commands,
            "reads": self._spent.reads,
            "bytes in": self._spent.bytes_in,
            "bytes out": self._spent.bytes_out - self._monitor.heard,
        }


def _called(calls: dict[str, int]) -> Counts:
    ours = sum(times for file, times in calls.items() if file.startswith(_OURS))
    return {"calls of rqueue": ours, "all calls": sum(calls.values())}


MEASURES: dict[str, Callable[[Stand, int], Counts]] = {
    "enqueue one": lambda s, jobs: _sent(s, "one", jobs),
    "enqueue one, blocking": lambda s, jobs: _sent(s, "blocking", jobs),
    "enqueue 100 at once": lambda s, jobs: _sent(s, "gather", jobs),
    "enqueue many": lambda s, jobs: _sent(s, "many", jobs),
    "drain": lambda s, jobs: _drained(s, RQUEUE, jobs),
    BARE: lambda s, jobs: _drained(s, LIMIT, jobs),
    "memory": _kept,
}
