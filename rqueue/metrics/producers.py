"""What an app sends, as Prometheus metrics."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from copy import deepcopy

from prometheus_client import Metric
from prometheus_client.registry import Collector

from rqueue.app import App
from rqueue.errors import ConfigError
from rqueue.events import SendResult
from rqueue.metrics.families import counters, histograms
from rqueue.worker.recorder import MOST_QUEUES, MOST_TASKS
from rqueue.worker.series import OTHER
from rqueue.worker.tally import TRIP_S, Histogram

logger = logging.getLogger("rqueue")


class ProducerMetrics(Collector):
    """A collector: ``registry.register(ProducerMetrics(app))``. It counts from then on.

    Args:
        app: whose enqueues are counted, by whatever thread or event loop.

    Raises:
        ConfigError: another one counts them already.
    """

    def __init__(self, app: App) -> None:
        if app.observers.meter is not None:
            raise ConfigError(
                "this app's enqueues are counted already: make one ProducerMetrics for it, and "
                "register that one with each registry"
            )
        self._lock = threading.Lock()
        self._tasks: set[tuple[str, str]] = set()
        self._counts: dict[tuple[str, str, str], int] = {}
        self._took: dict[str, Histogram] = {}
        app.observers.meter = self

    def sent(self, calls: Sequence[tuple[str, str, SendResult]], seconds: float) -> None:
        """Count calls that were sent together."""
        place = bisect_left(TRIP_S, seconds)
        with self._lock:
            queues: set[str] = set()
            for name, task, result in calls:
                queue = self._queue(name)
                series = (queue, self._task(queue, task), result)
                self._counts[series] = self._counts.get(series, 0) + 1
                queues.add(queue)
            for queue in queues:
                self._took[queue].counts[place] += 1
                self._took[queue].sum += seconds

    def _queue(self, name: str) -> str:
        name = name if name in self._took or len(self._took) < MOST_QUEUES else OTHER
        if name not in self._took:
            _warn_of("queues", name, MOST_QUEUES)
            self._took[name] = Histogram.empty(TRIP_S)
        return name

    def _task(self, queue: str, name: str) -> str:
        name = name if (queue, name) in self._tasks or len(self._tasks) < MOST_TASKS else OTHER
        if (queue, name) not in self._tasks:
            _warn_of("tasks", name, MOST_TASKS)
            self._tasks.add((queue, name))
        return name

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is shows only when it is asked for."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All that was counted."""
        with self._lock:
            counts = dict(self._counts)
            took = [((queue,), deepcopy(one)) for queue, one in self._took.items()]
        yield counters(
            "rqueue_jobs_enqueued",
            "Jobs that this process has sent, by what became of that.",
            ("queue", "task", "result"),
            counts.items(),
        )
        yield histograms(
            "rqueue_enqueue_seconds",
            "What sending took, of one job or of several at once.",
            ("queue",),
            TRIP_S,
            took,
        )


def _warn_of(what: str, name: str, most: int) -> None:
    if name == OTHER:
        logger.warning(
            "metrics: an app sends to more than %d %s; more count as %s", most, what, OTHER
        )
