"""Prometheus metrics: of a worker, as it counts, and of the queues, as Redis knows them.

Only one process of a deployment serves what Redis knows (``rqueue exporter``): every worker would
tell the same again.
"""

from __future__ import annotations

from rqueue.metrics.endpoints import exporter, of_work
from rqueue.metrics.producers import ProducerMetrics
from rqueue.metrics.queues import QueueMetrics
from rqueue.metrics.serving import Endpoint
from rqueue.metrics.workers import WorkerMetrics

__all__ = ["Endpoint", "ProducerMetrics", "QueueMetrics", "WorkerMetrics", "exporter", "of_work"]
