"""What Redis knows of queues and schedules, as Prometheus metrics: asked at each scrape."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rqueue.app import App
from rqueue.clock import monotonic
from rqueue.errors import RqueueError
from rqueue.metrics.families import Labels, build_info, gauge, gauges
from rqueue.metrics.memory import Memory
from rqueue.metrics.scale import Scale
from rqueue.scaling import LOOK_AHEAD_S, Standing, assess, slots_of_each, slots_of_one
from rqueue.schedules.info import ScheduleInfo
from rqueue.store.calls.ages import Ages, ServerLoad, ages, due_within, server_load
from rqueue.store.calls.leases import leases
from rqueue.store.calls.queues import QueueInfo
from rqueue.store.keys import queue_keys

logger = logging.getLogger("rqueue")

MOST_QUEUES = 100
MOST_SCHEDULES = 500
"""Beyond these none has samples of its own: a series each would be a burden to Prometheus."""
Cards = Mapping[str, Mapping[str, Any]]
"""What workers have said of themselves, by name."""
_KEPT_S = 1.0
"""For so long an answer serves the next scrape as well."""
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


class QueueMetrics(Collector):
    """A collector: ``registry.register(QueueMetrics(app))``.

    Args:
        app: whose Redis and namespace it looks at.
        scale: what tells how many replicas there should be; the usual one by default.
    """

    def __init__(self, app: App, scale: Scale | None = None) -> None:
        self._app = app
        self._scale = scale or Scale(app)
        self._memory = Memory(app)
        self._errors = 0
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._kept_until = 0.0

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registration must not ask Redis."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Ask Redis; if it does not answer, say so with ``rqueue_redis_up 0``."""
        with self._lock:
            if monotonic() >= self._kept_until:
                self._kept = self._look()
                self._kept_until = monotonic() + _KEPT_S
            return self._kept

    def _look(self) -> list[Metric]:
        began, found = monotonic(), list[Metric]()
        is_up = True
        try:
            found = [*self._of_redis(), *self._of_queues(), *self._of_schedules()]
        except RqueueError as error:
            self._errors += 1
            is_up = False
            logger.warning("exporter: %s", error)
        up = gauge("rqueue_redis_up", "Whether Redis answered this scrape.", is_up)
        took = gauge(
            "rqueue_exporter_scrape_seconds", "What asking Redis took.", monotonic() - began
        )
        errors = CounterMetricFamily(
            "rqueue_exporter_errors", "Scrapes that Redis did not answer.", value=self._errors
        )
        return [build_info(), up, took, errors, *found]

    def _of_redis(self) -> Iterator[Metric]:
        began = monotonic()
        load: ServerLoad = self._app.connections.blocking().run(server_load())
        latency = (monotonic() - began) / 4
        info = GaugeMetricFamily(
            "rqueue_redis_info",
            "Which server it is; always 1.",
            labels=["version", "role", "maxmemory_policy"],
        )
        info.add_metric([load.version, load.role, load.policy], 1)
        yield info
        yield gauge("rqueue_redis_latency_seconds", "Mean time of four answers.", latency)
        yield gauge("rqueue_redis_memory_used_bytes", "Memory in use.", load.used_bytes)
        yield gauge("rqueue_redis_memory_max_bytes", "maxmemory; 0 = none.", load.max_bytes)
        yield CounterMetricFamily(
            "rqueue_redis_evicted_keys", "Keys that Redis threw away.", value=load.evicted
        )

    def _of_queues(self) -> Iterator[Metric]:
        queues = self._app.inspector_sync.queues()
        if len(queues) > MOST_QUEUES:
            logger.warning(
                "exporter: %d queues; only the first %d have metrics", len(queues), MOST_QUEUES
            )
            queues = queues[:MOST_QUEUES]
        namespace = self._app.store.namespace
        keys = [queue_keys(namespace, one.name) for one in queues]
        blocking = self._app.connections.blocking()
        old: list[Ages] = blocking.run(ages(keys))
        due: list[int] = blocking.run(due_within(keys, LOOK_AHEAD_S))
        yield from _depths(queues)
        cards = self._app.workers_sync.list()
        yield from self._capacity(list(map(Standing, queues, old, due)), cards)
        held: list[dict[str, float]] = blocking.send_many([leases(one) for one in keys])
        yield _states(cards, {name for one in held for name in one})
        yield gauges(
            "rqueue_queue_memory_bytes",
            "What its keys take, worked out from a sample once a minute.",
            ("queue",),
            {(name,): float(size) for name, size in self._memory.of(keys).items()},
        )
        yield from _ages({one.name: age for one, age in zip(queues, old, strict=True)})
        yield from _totals(queues)

    def _capacity(self, queues: Iterable[Standing], cards: Cards) -> Iterator[Metric]:
        """What workers could do, and how many there should be."""
        labels = ("queue",)
        slots: dict[Labels, float] = {}
        busy: dict[Labels, float] = {}
        wanted: dict[Labels, float] = {}
        for one in queues:
            name = one.info.name
            slots[name,] = sum(slots_of_each(cards, [name]))
            busy[name,] = one.info.running
            demand = assess([one], self._scale.slots or slots_of_one(cards, [name]))
            wanted[name,] = self._scale.held(demand).desired
        yield gauges(
            "rqueue_queue_slots",
            "How many jobs its workers can run at a time; they may serve other queues as well.",
            labels,
            slots,
        )
        yield gauges("rqueue_queue_slots_busy", "How many run there.", labels, busy)
        yield gauges(
            "rqueue_autoscale_desired_replicas",
            "How many worker replicas there should be for this queue alone.",
            labels,
            wanted,
        )

    def _of_schedules(self) -> Iterator[Metric]:
        schedules = self._app.schedules_sync.list()[:MOST_SCHEDULES]
        yield _times(
            "rqueue_schedule_next_run_timestamp_seconds",
            "When it fires next; absent while it does not by itself.",
            {one.name: _next_run(one) for one in schedules},
        )
        yield _times(
            "rqueue_schedule_last_run_timestamp_seconds",
            "When it last made a job, or passed a tick.",
            {one.name: one.last_run for one in schedules},
        )
        yield _times(
            "rqueue_schedule_last_success_timestamp_seconds",
            "When the latest of its jobs ended well, as far as is known.",
            {one.name: one.last_success for one in schedules},
        )


def _depths(queues: Iterable[QueueInfo]) -> Iterator[Metric]:
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


def _ages(found: Mapping[str, Ages]) -> Iterator[Metric]:
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


def _totals(queues: Iterable[QueueInfo]) -> Iterator[Metric]:
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


def _states(cards: Cards, alive: AbstractSet[str]) -> Metric:
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


def _next_run(one: ScheduleInfo) -> datetime | None:
    return None if one.is_paused else one.next_run


def _times(name: str, text: str, moments: Mapping[str, datetime | None]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["schedule"])
    for schedule, moment in moments.items():
        if moment is not None:
            family.add_metric([schedule], moment.timestamp())
    return family
