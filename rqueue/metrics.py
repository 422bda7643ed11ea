"""What happens in this process, as Prometheus metrics: ``app.observe(Metrics())``.

Only what fault handling needs so far; whoever serves the registry serves these too.
"""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter

from rqueue.events import Event, GroupsRestored, LoopStalled, WorkerFenced, WorkerReaped


class Metrics:
    """Counts events.

    Args:
        registry: where the metrics are registered; prometheus-client's own by default.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._stalls = Counter(
            "rqueue_worker_event_loop_stalls_total",
            "Times that a task kept the event loop from turning.",
            ["task"],
            registry=registry,
        )
        self._fenced = Counter(
            "rqueue_worker_fenced_total",
            "Leases that this worker lost.",
            ["queue"],
            registry=registry,
        )
        self._reclaimed = Counter(
            "rqueue_jobs_reclaimed_total",
            "Jobs taken from dead workers.",
            ["queue"],
            registry=registry,
        )
        self._restored = Counter(
            "rqueue_worker_groups_restored_total",
            "Times that this worker made consumer groups again that somebody had destroyed.",
            ["queue"],
            registry=registry,
        )

    def __call__(self, event: Event) -> None:
        """Count one event; an observer."""
        match event:
            case LoopStalled():
                self._stalls.labels(event.task or "_unknown").inc()
            case WorkerFenced():
                self._fenced.labels(event.queue).inc()
            case WorkerReaped():
                self._reclaimed.labels(event.queue).inc(event.jobs)
            case GroupsRestored():
                self._restored.labels(event.queue).inc()
            case _:
                return
