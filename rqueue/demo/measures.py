"""How fast it was: throughput, latencies, recovery; pure, from the records alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from rqueue.demo.proof import WORKER_DIED, Evidence, recovered
from rqueue.demo.tasks import index_file, ping
from rqueue.job import JobInfo


class Latency(msgspec.Struct, frozen=True):
    """Seconds from enqueue to start.

    Attributes:
        jobs: how many were measured.
        p50: half of them started within this.
        p99: all but one in a hundred started within this.
    """

    jobs: int
    p50: float
    p99: float


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """The speed of one demo.

    Attributes:
        seconds: from the first file's enqueue to the end of the last that was not delayed.
        throughput: files a second in that time.
        backlog: by priority, of files that were not delayed; all were enqueued at once.
        idle: of jobs sent one at a time to an idle system.
        recovery: seconds from the kill to the new start of each job the dead worker held, sorted.
        fenced: jobs of workers that nobody killed: too slow to renew their lease, they were fenced.
    """

    seconds: float
    throughput: float
    backlog: dict[str, Latency]
    idle: Latency
    recovery: tuple[float, ...]
    fenced: int


def measure(evidence: Evidence) -> Measures:
    """All of it."""
    files = evidence.of_task(index_file.name)
    prompt = [(sent.priority, info) for sent, info in files if not sent.delay_s]
    begun = [info.created_at for _, info in prompt if info.created_at is not None]
    ended = [info.finished_at for _, info in prompt if info.finished_at is not None]
    seconds = (max(ended) - min(begun)).total_seconds() if begun and ended else 0.0
    by_priority = {
        priority: _latency(info for one, info in prompt if one == priority)
        for priority in ("high", "normal", "low")
    }
    restarts = (info.started_at for info in recovered(evidence))
    return Measures(
        seconds=seconds,
        throughput=len(ended) / seconds if seconds else 0.0,
        backlog={
            **{priority: one for priority, one in by_priority.items() if one.jobs},
            "all": _latency(info for _, info in prompt),
        },
        idle=_latency(info for _, info in evidence.of_task(ping.name)),
        recovery=tuple(sorted(_since(evidence.kill.at, at) for at in restarts if at is not None)),
        fenced=sum(_was_fenced(info, evidence.kill.worker) for info in evidence.records.values()),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed (nearest rank); 0 of none."""
    if not values:
        return 0.0
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]


def _latency(infos: Iterable[JobInfo]) -> Latency:
    waits = [
        (info.started_at - info.created_at).total_seconds()
        for info in infos
        if info.started_at is not None and info.created_at is not None
    ]
    return Latency(len(waits), percentile(waits, 50), percentile(waits, 99))


def _was_fenced(info: JobInfo, killed: str) -> bool:
    return any(error.type == WORKER_DIED and error.worker != killed for error in info.errors)


def _since(kill: float, at: datetime) -> float:
    return at.timestamp() - kill
