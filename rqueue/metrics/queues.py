"""What Redis knows of queues and schedules, as Prometheus metrics: asked at each scrape."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rqueue.app import App
from rqueue.clock import monotonic
from rqueue.errors import CorruptKey, RqueueError, StoreUnavailable
from rqueue.metrics.families import Labels, build_info, gauge, gauges
from rqueue.metrics.memory import Memory
from rqueue.metrics.queuefamilies import ages_of, depths, next_run, states, times, totals
from rqueue.metrics.scale import Scale
from rqueue.scaling import (
    LOOK_AHEAD_S,
    Cards,
    Standing,
    assess,
    slots_of_each,
    slots_of_one,
    working,
)
from rqueue.store.calls.ages import Ages, ServerLoad, ages, due_within, server_load
from rqueue.store.calls.leases import leases
from rqueue.store.calls.queues import QueueInfo
from rqueue.store.calls.queues import queues as names_of
from rqueue.store.keys import queue_keys

logger = logging.getLogger("rqueue")

MOST_QUEUES = 100
MOST_SCHEDULES = 500
"""Beyond these none has samples of its own: a series each would be a burden to Prometheus."""
_KEPT_S = 1.0
"""For so long an answer serves the next scrape as well."""


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
        for part in (self._of_redis, self._of_queues, self._of_schedules):
            try:
                found += part()
            except StoreUnavailable as error:
                self._fail(error)
                is_up, found = False, []
                break
            except RqueueError as error:  # a key of a wrong type, a right that is missing
                self._fail(error)
        up = gauge("rqueue_redis_up", "Whether Redis answered this scrape.", is_up)
        took = gauge(
            "rqueue_exporter_scrape_seconds", "What asking Redis took.", monotonic() - began
        )
        errors = CounterMetricFamily(
            "rqueue_exporter_errors", "Parts that Redis did not tell.", value=self._errors
        )
        return [build_info(), up, took, errors, *found]

    def _fail(self, error: RqueueError, what: str = "") -> None:
        self._errors += 1
        logger.warning("exporter: %s%s", what, error)

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
        queues, namespace = self._readable(), self._app.store.namespace
        keys = [queue_keys(namespace, one.name) for one in queues]
        blocking = self._app.connections.blocking()
        old: list[Ages] = blocking.run(ages(keys))
        due: list[int] = blocking.run(due_within(keys, LOOK_AHEAD_S))
        yield from depths(queues)
        cards = self._app.workers_sync.list()
        held: list[dict[str, float]] = blocking.send_many([leases(one) for one in keys])
        alive = {name for one in held for name in one}
        yield from self._capacity(list(map(Standing, queues, old, due)), working(cards, alive))
        yield states(cards, alive)
        yield gauges(
            "rqueue_queue_memory_bytes",
            "What its keys take, worked out from a sample once a minute.",
            ("queue",),
            {(name,): float(size) for name, size in self._memory.of(keys).items()},
        )
        yield from ages_of({one.name: age for one, age in zip(queues, old, strict=True)})
        yield from totals(queues)

    def _readable(self) -> list[QueueInfo]:
        """The queues, the first hundred; one with a key of a wrong type hides no other."""
        blocking, namespace = self._app.connections.blocking(), self._app.store.namespace
        names: list[str] = blocking.send(names_of(namespace))
        if len(names) > MOST_QUEUES:
            logger.warning(
                "exporter: %d queues; only the first %d have metrics", len(names), MOST_QUEUES
            )
        found: list[QueueInfo] = []
        for name in names[:MOST_QUEUES]:
            try:
                found += self._app.inspector_sync.queues(name)
            except CorruptKey as error:
                self._fail(error, f"queue {name}: ")
        return found

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
            wanted[name,] = self._scale.held(demand, self._scale.slots).desired
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
        yield times(
            "rqueue_schedule_next_run_timestamp_seconds",
            "When it fires next; absent while it does not by itself.",
            {one.name: next_run(one) for one in schedules},
        )
        yield times(
            "rqueue_schedule_last_run_timestamp_seconds",
            "When it last made a job, or passed a tick.",
            {one.name: one.last_run for one in schedules},
        )
        yield times(
            "rqueue_schedule_last_success_timestamp_seconds",
            "When the latest of its jobs ended well, as far as is known.",
            {one.name: one.last_success for one in schedules},
        )
