"""Events as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from rqueue.events import GroupsRestored, LoopStalled, WorkerFenced, WorkerReaped
from rqueue.metrics import Metrics


def test_stalls_name_the_task_and_all_else_the_queue() -> None:
    registry = CollectorRegistry()
    observe = Metrics(registry)

    observe(LoopStalled(queue="", task="report", seconds=2))
    observe(LoopStalled(queue="", task="report", seconds=3))
    observe(LoopStalled(queue="", task="", seconds=3))
    observe(WorkerFenced(queue="mail", worker="w1", jobs=3))
    observe(WorkerReaped(queue="mail", worker="w1", jobs=3))
    observe(GroupsRestored(queue="mail", worker="w1"))

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }
    assert samples == {
        ("rqueue_worker_event_loop_stalls_total", "report"): 2,
        ("rqueue_worker_event_loop_stalls_total", "_unknown"): 1,
        ("rqueue_worker_fenced_total", "mail"): 1,
        ("rqueue_jobs_reclaimed_total", "mail"): 3,
        ("rqueue_worker_groups_restored_total", "mail"): 1,
    }
