"""Families of samples of queues, workers and schedules, from what Redis said of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from rqueue.metrics.families import gauges
from rqueue.scaling import Cards
from rqueue.schedules.info import ScheduleInfo
from rqueue.store.calls.ages import Ages
from rqueue.store.calls.queues import QueueInfo

_OUTCOMES = {
    "succeeded": ("complete",),
    "dead": ("bury", "crash"),
    "cancelled": ("cancel",),
    "expired": ("expire",),
}
"""Which counters of the scripts make an outcome."""
_RECLAIMED = ("reap", "crash")
"""Moved to where others find them, or dead by their last crash."""
_STATES = {"working": "running", "quiet": "draining", "stopping": "draining"}
_LOST = "lost"


def depths(queues: Iterable[QueueInfo]) -> Iterator[Metric]:
    """How many jobs and workers there are."""
    jobs = GaugeMetricFamily(
        "rqueue_queue_jobs",
        "Jobs by state; scheduled ones wait for their time, retries included.",
        labels=["queue", "state"],
    )
    paused = GaugeMetricFamily(
        "rqueue_queue_paused", "Whether workers leave it alone.", labels=["queue"]
    )
    workers = GaugeMetricFamily("rqueue_queue_workers", "Workers with a lease.", labels=["queue"])
    target = GaugeMetricFamily(
        "rqueue_queue_slo_wait_seconds",
        "How long a job should wait at the most; 0 = nobody has said.",
        labels=["queue"],
    )
    for one in queues:
        states = {
            "ready": sum(one.ready.values()),
            "scheduled": one.scheduled,
            "running": one.running,
            "dead": one.dead,
        }
        for state, count in states.items():
            jobs.add_metric([one.name, state], count)
        paused.add_metric([one.name], one.is_paused)
        workers.add_metric([one.name], one.workers)
        target.add_metric([one.name], one.target_s or 0)
    yield from (jobs, paused, workers, target)


def ages_of(found: Mapping[str, Ages]) -> Iterator[Metric]:
    """For how long the oldest has waited, run, or been due."""
    ready = GaugeMetricFamily(
        "rqueue_queue_oldest_ready_age_seconds",
        "How long the job that waits longest for a worker has been ready; 0 = none waits.",
        labels=["queue"],
    )
    running = GaugeMetricFamily(
        "rqueue_queue_oldest_running_age_seconds",
        "How long ago the oldest job in a worker's hands became ready; 0 = none is.",
        labels=["queue"],
    )
    overdue = GaugeMetricFamily(
        "rqueue_queue_scheduled_overdue_seconds",
        "How late the job is that should have been promoted first: is there a scheduler?",
        labels=["queue"],
    )
    for queue, age in found.items():
        ready.add_metric([queue], age.ready_s)
        running.add_metric([queue], age.running_s)
        overdue.add_metric([queue], age.overdue_s)
    yield from (ready, running, overdue)


def totals(queues: Iterable[QueueInfo]) -> Iterator[Metric]:
    """What Redis has counted since the queue began."""
    enqueued = CounterMetricFamily(
        "rqueue_queue_enqueued_jobs",
        "Jobs that were accepted since the queue began; counted in Redis.",
        labels=["queue"],
    )
    reclaimed = CounterMetricFamily(
        "rqueue_queue_reclaimed_jobs",
        "Jobs that were taken from dead workers, by whomever; counted in Redis.",
        labels=["queue"],
    )
    processed = CounterMetricFamily(
        "rqueue_queue_processed_jobs",
        "Jobs that ended since the queue began; counted in Redis.",
        labels=["queue", "outcome"],
    )
    for one in queues:
        enqueued.add_metric([one.name], one.counters.get("enqueue", 0))
        reclaimed.add_metric([one.name], sum(one.counters.get(verb, 0) for verb in _RECLAIMED))
        for outcome, verbs in _OUTCOMES.items():
            ended = sum(one.counters.get(verb, 0) for verb in verbs)
            processed.add_metric([one.name, outcome], ended)
    yield from (enqueued, reclaimed, processed)


def states(cards: Cards, alive: AbstractSet[str]) -> Metric:
    """Workers by how they stand; who has no lease any more is lost until it is forgotten."""
    counts: dict[str, int] = dict.fromkeys(("running", "draining", _LOST), 0)
    for name, card in cards.items():
        state = _STATES.get(str(card.get("state")), "running") if name in alive else _LOST
        counts[state] += 1
    return gauges(
        "rqueue_workers",
        "Workers that have introduced themselves, by how they stand.",
        ("state",),
        {(state,): float(count) for state, count in counts.items()},
    )


def next_run(one: ScheduleInfo) -> datetime | None:
    """When it fires by itself."""
    return None if one.is_paused else one.next_run


def times(name: str, text: str, moments: Mapping[str, datetime | None]) -> Metric:
    """A moment of each schedule that has one."""
    family = GaugeMetricFamily(name, text, labels=["schedule"])
    for schedule, moment in moments.items():
        if moment is not None:
            family.add_metric([schedule], moment.timestamp())
    return family
