"""How quickly workers empty a queue: with and without results, in pools, and when it is long."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Any, Self

from benchmarks.adapters.harness import CORES, WARM
from benchmarks.peers import Peer, Pool, producer_of
from benchmarks.stand import Cost, Stand, Worker, rest, until

Numbers = dict[str, float]
MICRO = 1e6
SPIN_ROUNDS = 50_000
"""Of ``spin``: some two milliseconds of a processor."""
_WARM = 20
_COUNTED = 2_000
"""Jobs of which every command of a client is listed, which would slow a measured drain down."""
_OTHERS_S = 2.0
"""In which the other workers begin, when one has."""
_WINDOW_S = 10.0
_SHORT = 1_000
_SHORT_TIMES = 5
"""How often the short backlog is drained, which takes next to no time."""


def drain(stand: Stand, peer: Peer, *, results: bool, workers: int = 1) -> Numbers:
    """A backlog that is there when the workers begin; they have started before, and were frozen."""
    pool, order = Pool(peer.concurrency, peer.drained, workers), {"results": results}
    if not results and peer.unheard is not None:
        pool, order = peer.unheard._replace(workers=workers), {"results": False, "pool": "threads"}
    told = _drain(stand, peer, pool, order)
    if workers > 1:
        busy = told["worker CPU µs"] + told["Redis CPU µs"]
        told["of two cores"] = told["jobs/s"] * busy / MICRO / CORES
    if not results:
        del told["left bytes"]
    return told


def drain_threads(stand: Stand, peer: Peer) -> Numbers:
    """The same with blocking tasks that do next to nothing."""
    return _drain(stand, peer, _pool(peer.threads), {"pool": "threads"})


def drain_processes(stand: Stand, peer: Peer, jobs: int) -> Numbers:
    """The same with tasks that compute for some milliseconds, on two processors."""
    pool = _pool(peer.processes)._replace(jobs=jobs)
    return _drain(stand, peer, pool, {"pool": "processes", "task": "spin", "size": SPIN_ROUNDS})


def _pool(pool: Pool | None) -> Pool:
    if pool is None:
        raise RuntimeError("it has no such pool")
    return pool


def growth(stand: Stand, peer: Peer, lengths: tuple[int, ...]) -> Numbers:
    """Jobs a second from a backlog of a thousand, and from longer ones for some seconds."""
    told: Numbers = {"1 k jobs/s": _rate(stand, peer, _SHORT, _SHORT_TIMES)}
    for length in lengths:
        if length <= peer.longest:
            name = f"{length // 1000:,} k"
            told[f"{name} jobs/s"] = _rate(stand, peer, length)
            told[f"{name} / 1 k"] = told[f"{name} jobs/s"] / told["1 k jobs/s"]
    if "1,000 k jobs/s" in told:
        told["1,000 k / 200 k"] = told["1,000 k jobs/s"] / told["200 k jobs/s"]
    return told


def _rate(stand: Stand, peer: Peer, length: int, times: int = 1) -> float:
    stand.clear()
    rates: list[float] = []
    with _Crew(stand, peer, Pool(peer.concurrency, length), {}) as crew:
        for _ in range(times):
            ran = crew.ran
            crew.freeze()
            crew.fill(length)
            began = time.monotonic()
            crew.thaw()
            crew.work_for(_WINDOW_S, length)
            rates.append((crew.ran - ran) / (crew.last - began))
            rest()
    return statistics.median(rates)


def _drain(stand: Stand, peer: Peer, pool: Pool, order: dict[str, Any]) -> Numbers:
    baseline = stand.empty(producer_of(peer))
    with _Crew(stand, peer, pool, order) as crew:
        crew.freeze()
        crew.fill(pool.jobs)
        before, cpu = stand.cost(), crew.cpu_s()
        began = time.monotonic()
        crew.thaw()
        crew.until_ran(pool.jobs)
        rest()
        spent = stand.cost() - before
        told = _told(pool.jobs, crew.last - began, crew.cpu_s() - cpu, spent)
        counted = min(pool.jobs, _COUNTED)
        told["commands of clients"] = crew.commands(pool.jobs, counted)
        left = crew.ran
    return {**told, "left bytes": (stand.bytes() - baseline) / left}


def _told(jobs: int, seconds: float, cpu_s: float, spent: Cost) -> Numbers:
    return {
        "jobs/s": jobs / seconds,
        "worker CPU µs": cpu_s / jobs * MICRO,
        "Redis CPU µs": spent.cpu_s / jobs * MICRO,
        "commands, those in scripts too": spent.commands / jobs,
        "reads": spent.reads / jobs,
    }


class _Crew:
    """Workers that have begun, and wait.

    Args:
        stand: where.
        peer: whose.
        pool: how many, and of which concurrency.
        order: what else workers and producers are told.
    """

    def __init__(self, stand: Stand, peer: Peer, pool: Pool, order: dict[str, Any]) -> None:
        self._stand, self._peer, self._pool, self._order = stand, peer, pool, order
        self._workers: list[Worker] = []
        self._before = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        order = {**self._order, "concurrency": self._pool.concurrency}
        warm = max(_WARM, min(WARM, self._pool.jobs // 10))
        for _ in range(self._pool.workers):
            worker = self._stand.worker(self._peer, **order)
            self._workers.append(stack.enter_context(worker))
        self.fill(warm)
        self.until_ran(warm)
        time.sleep(_OTHERS_S * (self._pool.workers - 1))
        rest()
        self._before = self.ran

    def fill(self, jobs: int) -> None:
        """Send jobs."""
        self._stand.produce(producer_of(self._peer), "fill", count=jobs, **self._order)

    def freeze(self) -> None:
        for one in self._workers:
            one.freeze()

    def thaw(self) -> None:
        for one in self._workers:
            one.thaw()

    def cpu_s(self) -> float:
        return sum(one.cpu_s() for one in self._workers)

    @property
    def ran(self) -> int:
        """Jobs they have run."""
        return sum(one.ran for one in self._workers)

    @property
    def last(self) -> float:
        """When the last job began; monotonic."""
        return max(one.last for one in self._workers)

    def until_ran(self, jobs: int) -> None:
        """Wait until they have run so many since they waited."""
        until(lambda: self.ran - self._before >= jobs, lambda: f"{self.ran} of {jobs} were run")

    def commands(self, ran: int, jobs: int) -> float:
        """Of clients, for each of so many jobs more than have run."""
        self.freeze()
        self.fill(jobs)
        with self._stand.monitored() as monitor:
            self.thaw()
            self.until_ran(ran + jobs)
            rest()
        return monitor.commands / jobs

    def work_for(self, seconds: float, jobs: int) -> None:
        """Wait until they have run so many more, or until it has been long enough."""
        ran, end = self.ran, time.monotonic() + seconds
        until(
            lambda: self.ran - ran >= jobs or time.monotonic() > end,
            lambda: f"{self.ran} of {jobs} were run",
        )
