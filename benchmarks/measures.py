"""What is measured, one function for each; each returns numbers by name, of one run."""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benchmarks.adapters.harness import WARM
from benchmarks.drains import MICRO, Numbers, drain, drain_processes, drain_threads, growth
from benchmarks.peers import RQUEUE, Peer, producer_of
from benchmarks.stand import Stand, Worker, children_cpu_s, rest

_QUEUED = 5_000
_DUE_IN_S = 4.0
_LISTPACK = "hash-max-listpack-value"
_WARM = 20


def enqueue(stand: Stand, peer: Peer, role: str, count: int) -> Numbers:
    """Jobs a second, and what each costs the producer and Redis."""
    stand.clear()
    before = stand.cost()
    told = stand.produce(peer, role, count=count)
    spent, sent = stand.cost() - before, count + WARM
    return {
        "jobs/s": count / told["seconds"],
        "CPU µs": told["cpu_s"] / count * MICRO,
        "Redis CPU µs": spent.cpu_s / sent * MICRO,
        "commands, those in scripts too": spent.commands / sent,
        "reads": spent.reads / sent,
    }


def latency(stand: Stand, peer: Peer) -> Numbers:
    """From the enqueue of a job to its start and to its result, when nothing else is there."""
    stand.clear()
    with stand.worker(peer, heard=True) as worker:
        _warm_up(stand, peer, worker)
        told = stand.produce(peer, "latency", count=200, heard=True)
    return {
        f"{what} p{percent}, ms": _percentile(told[key], percent) * 1000
        for what, key in (("start", "starts"), ("result", "results"))
        for percent in (50, 99)
    }


def due_together(stand: Stand, peer: Peer) -> Numbers:
    """A thousand jobs due at the same whole second: how late they begin."""
    stand.clear()
    with stand.worker(peer) as worker:
        _warm_up(stand, peer, worker)
        before = worker.ran
        stand.produce(peer, "later", count=1000, at=math.ceil(time.time() + _DUE_IN_S))
        worker.until_ran(before + 1000)
        late = [seconds * 1000 for seconds in worker.lateness()]
    return {
        "min, ms": min(late),
        "p50, ms": _percentile(late, 50),
        "p99, ms": _percentile(late, 99),
    }


def memory(stand: Stand, peer: Peer) -> Numbers:
    """Bytes in Redis for a queued and for a delayed job with 100 characters.

    The latter also where small hashes may hold long values, as is advised for rqueue.
    """
    soon = time.time() + 3600
    told = {"queued bytes": _bytes(stand, peer, "fill")}
    told["delayed bytes"] = _bytes(stand, peer, "delayed", at=soon)
    before: Any = stand.redis.config_get(_LISTPACK)
    stand.redis.config_set(_LISTPACK, 1024)
    try:
        told[f"delayed, {_LISTPACK} 1024"] = _bytes(stand, peer, "delayed", at=soon)
    finally:
        stand.redis.config_set(_LISTPACK, before[_LISTPACK])
    return told


def _bytes(stand: Stand, peer: Peer, role: str, **more: Any) -> float:
    before = stand.empty(peer)
    stand.produce(peer, role, count=_QUEUED, **more)
    return (stand.bytes() - before) / _QUEUED


def idle(stand: Stand, peer: Peer, seconds: float) -> Numbers:
    """What a worker costs that has nothing to do, and how soon it is ready."""
    stand.clear()
    stand.produce(producer_of(peer), "fill", count=1)
    began = time.monotonic()
    with stand.worker(peer) as worker:
        worker.until_ran(1)
        ready = time.monotonic() - began
        rest()
        before, cpu = stand.cost(), worker.cpu_s()
        with stand.monitored() as monitor:
            time.sleep(seconds)
        spent = stand.cost() - before
        return {
            "ready, ms": ready * 1000,
            "commands/s": monitor.commands / seconds,
            "those in scripts too": (spent.commands - 1) / seconds,
            "CPU %": (worker.cpu_s() - cpu) / seconds * 100,
            "memory MB": worker.memory() / 1e6,
        }


def _warm_up(stand: Stand, peer: Peer, worker: Worker) -> None:
    stand.produce(producer_of(peer), "fill", count=_WARM)
    worker.until_ran(_WARM)
    rest()


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def importing(_stand: Stand, peer: Peer, times: int) -> Numbers:
    """What importing it takes, beyond a program that imports nothing."""
    ran: dict[str, list[tuple[float, float]]] = {}
    for _ in range(times):
        for source in ("", peer.imports, *(["import rqueue"] if peer.name == RQUEUE.name else [])):
            ran.setdefault(source, []).append(_ran(peer, source))
    medians = {
        source: [statistics.median(one[n] for one in found) for n in (0, 1)]
        for source, found in ran.items()
    }
    wall, cpu = (
        whole - bare for whole, bare in zip(medians[peer.imports], medians[""], strict=True)
    )
    told = {"import, ms": wall * 1000, "CPU, ms": cpu * 1000}
    if peer.name == RQUEUE.name:  # whoever only names it pays less
        told["package alone, ms"] = (medians["import rqueue"][0] - medians[""][0]) * 1000
    return told


def _ran(peer: Peer, source: str) -> tuple[float, float]:
    """Seconds of the wall and of processors that a program takes."""
    wall, cpu = time.monotonic(), children_cpu_s()
    subprocess.run(peer.program(source), env=peer.environment(), cwd=peer.folder, check=True)
    return time.monotonic() - wall, children_cpu_s() - cpu


class Measure(NamedTuple):
    """Something to measure.

    Attributes:
        needs: what a peer must be able to do.
        run: the measure.
        quick: what stands for it when there is little time; None = nothing.
        once: whether one turn has to do for whoever cannot be sent a million jobs in a minute.
        headline: the number that peers are compared by; "" = the first.
    """

    needs: str
    run: Callable[[Stand, Peer], Numbers]
    quick: Callable[[Stand, Peer], Numbers] | None
    once: bool = False
    headline: str = ""


def _singly(peer: Peer) -> int:
    return min(peer.sent, 10_000)


def _of(needs: str, run: Callable[[Stand, Peer], Numbers], headline: str = "") -> Measure:
    return Measure(needs, run, run, headline=headline)


MEASURES = {
    "enqueue one": _of("queue", lambda s, p: enqueue(s, p, "one", _singly(p))),
    "enqueue one, blocking": _of("blocking", lambda s, p: enqueue(s, p, "blocking", _singly(p))),
    "enqueue 100 at once": _of("gather", lambda s, p: enqueue(s, p, "gather", p.sent)),
    "enqueue many": _of("queue", lambda s, p: enqueue(s, p, "many", p.sent)),
    "drain": _of("drain", partial(drain, results=True)),
    "drain, no results": _of("drain", partial(drain, results=False)),
    "drain, two workers": _of("queue", partial(drain, results=True, workers=2)),
    "drain, two workers, no results": Measure(
        "queue", partial(drain, results=False, workers=2), quick=None
    ),
    "drain, blocking tasks": _of("threads", drain_threads),
    "drain, computing": Measure(
        "processes", partial(drain_processes, jobs=1_000), partial(drain_processes, jobs=400)
    ),
    "growth": Measure(
        "growth", partial(growth, lengths=(200_000, 1_000_000)), quick=None, once=True
    ),
    "latency": _of("results", latency),
    "due together": _of("later", due_together, "p50, ms"),
    "memory": _of("later", memory),
    "idle": Measure(
        "queue", partial(idle, seconds=10.0), partial(idle, seconds=4.0), headline="commands/s"
    ),
    "import": Measure("queue", partial(importing, times=9), partial(importing, times=3)),
}
