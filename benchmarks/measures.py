"""What is measured, one function for each; each returns numbers by name, of one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from benchmarks.peers import LIMIT, RQUEUE, Peer
from benchmarks.stand import Cost, Stand, Worker, rest, until

Numbers = dict[str, float]
MICRO = 1e6
_QUEUED = 5_000
_IDLE_S = 10.0
_DUE_IN_S = 4.0
_WARM = 20
_OTHERS_S = 2.0
"""In which the other workers begin, when one has."""


def producer_of(peer: Peer) -> Peer:
    """Who sends what a worker of this peer runs."""
    return RQUEUE if peer is LIMIT else peer


def enqueue(stand: Stand, peer: Peer, role: str, count: int) -> Numbers:
    """Jobs a second, and what each costs the producer and Redis."""
    stand.clear()
    before = stand.cost()
    told = stand.produce(peer, role, count=count)
    spent = stand.cost() - before
    return {
        "jobs/s": count / told["seconds"],
        "CPU µs": told["cpu_s"] / count * MICRO,
        "Redis CPU µs": spent.cpu_s / (count + 100) * MICRO,
    }


def drain(stand: Stand, peer: Peer, *, results: bool, workers: int = 1) -> Numbers:
    """A backlog that is there when the workers begin; they have started before, and were frozen."""
    stand.clear()
    baseline = stand.bytes()
    count = peer.drained
    with _Crew(stand, peer, workers, results=results) as crew:
        crew.freeze()
        stand.produce(producer_of(peer), "fill", count=count, results=results)
        before, cpu = stand.cost(), crew.cpu_s()
        began = time.monotonic()
        crew.thaw()
        crew.until_ran(count)
        rest()
        spent = stand.cost() - before
        told = _drained(count, crew.last - began, crew.cpu_s() - cpu, spent)
    if results:
        told["left bytes"] = (stand.bytes() - baseline) / count
    return told


def _drained(count: int, seconds: float, cpu_s: float, spent: Cost) -> Numbers:
    return {
        "jobs/s": count / seconds,
        "worker CPU µs": cpu_s / count * MICRO,
        "Redis CPU µs": spent.cpu_s / count * MICRO,
        "commands": spent.commands / count,
        "reads": spent.reads / count,
    }


class _Crew:
    """Workers that have begun, and wait."""

    def __init__(self, stand: Stand, peer: Peer, count: int, *, results: bool) -> None:
        self._stand, self._peer, self._results = stand, peer, results
        self._count = count
        self._stack = ExitStack()
        self._workers: list[Worker] = []
        self._before = 0

    def __enter__(self) -> Self:
        for _ in range(self._count):
            worker = self._stand.worker(self._peer, results=self._results)
            self._workers.append(self._stack.enter_context(worker))
        self._stand.produce(producer_of(self._peer), "fill", count=_WARM, results=self._results)
        self.until_ran(_WARM)
        time.sleep(_OTHERS_S * (self._count - 1))
        rest()
        self._before = self._ran
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def freeze(self) -> None:
        for one in self._workers:
            one.freeze()

    def thaw(self) -> None:
        for one in self._workers:
            one.thaw()

    def cpu_s(self) -> float:
        return sum(one.cpu_s() for one in self._workers)

    @property
    def last(self) -> float:
        """When the last job began."""
        return max(one.last for one in self._workers)

    def until_ran(self, count: int) -> None:
        until(lambda: self._ran - self._before >= count, lambda: f"{self._ran} of {count} were run")

    @property
    def _ran(self) -> int:
        return sum(one.ran for one in self._workers)


def latency(stand: Stand, peer: Peer) -> Numbers:
    """From the enqueue of a job to its start and to its result, when nothing else is there."""
    stand.clear()
    with stand.worker(peer) as worker:
        _warm_up(stand, peer, worker)
        told = stand.produce(peer, "latency", count=200)
    return {
        f"{what} p{percent}, ms": _percentile(told[key], percent) * 1000
        for what, key in (("start", "starts"), ("result", "results"))
        for percent in (50, 99)
    }


def due_together(stand: Stand, peer: Peer) -> Numbers:
    """A thousand jobs due in the same second: how late they begin."""
    stand.clear()
    with stand.worker(peer) as worker:
        _warm_up(stand, peer, worker)
        before = worker.ran
        stand.produce(peer, "later", count=1000, at=time.time() + _DUE_IN_S)
        worker.until_ran(before + 1000)
        late = [seconds * 1000 for seconds in worker.lateness()]
    return {
        "min, ms": min(late),
        "p50, ms": _percentile(late, 50),
        "p99, ms": _percentile(late, 99),
    }


def memory(stand: Stand, peer: Peer) -> Numbers:
    """Bytes in Redis for a queued and for a delayed job with 100 characters."""
    told: Numbers = {}
    for name, role, more in (
        ("queued bytes", "fill", {}),
        ("delayed bytes", "later", {"at": time.time() + 3600}),
    ):
        stand.clear()
        before = stand.bytes()
        stand.produce(peer, role, count=_QUEUED, **more)
        told[name] = (stand.bytes() - before) / _QUEUED
    return told


def idle(stand: Stand, peer: Peer) -> Numbers:
    """What a worker costs that has nothing to do, and how soon it is ready."""
    stand.clear()
    stand.produce(producer_of(peer), "fill", count=1)
    began = time.monotonic()
    with stand.worker(peer) as worker:
        worker.until_ran(1)
        ready = time.monotonic() - began
        rest()
        before, cpu = stand.cost(), worker.cpu_s()
        time.sleep(_IDLE_S)
        spent = stand.cost() - before
        return {
            "ready, ms": ready * 1000,
            "commands/s": (spent.commands - 1) / _IDLE_S,
            "CPU %": (worker.cpu_s() - cpu) / _IDLE_S * 100,
            "memory MB": worker.memory() / 1e6,
        }


def _warm_up(stand: Stand, peer: Peer, worker: Worker) -> None:
    stand.produce(producer_of(peer), "fill", count=_WARM)
    worker.until_ran(_WARM)
    rest()


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


Measure = Callable[[Stand, Peer], Numbers]
MEASURES: dict[str, tuple[str, Measure]] = {
    "enqueue one": ("queue", lambda s, p: enqueue(s, p, "one", 3_000)),
    "enqueue one, blocking": ("blocking", lambda s, p: enqueue(s, p, "blocking", 3_000)),
    "enqueue 100 at once": ("gather", lambda s, p: enqueue(s, p, "gather", 10_000)),
    "enqueue many": ("queue", lambda s, p: enqueue(s, p, "many", p.sent)),
    "drain": ("drain", lambda s, p: drain(s, p, results=True)),
    "drain, no results": ("drain", lambda s, p: drain(s, p, results=False)),
    "drain, two workers": ("queue", lambda s, p: drain(s, p, results=True, workers=2)),
    "latency": ("results", latency),
    "due together": ("later", due_together),
    "memory": ("later", memory),
    "idle": ("queue", idle),
}
"""By name: what a peer must be able to do, and the measure."""
