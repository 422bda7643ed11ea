"""What is served to Prometheus and to probes: by an exporter, and by whoever runs jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.registry import Collector

from rqueue.app import App
from rqueue.errors import StoreError
from rqueue.metrics.queues import QueueMetrics
from rqueue.metrics.scale import Scale
from rqueue.metrics.serving import Endpoint, Probe
from rqueue.store.calls.cron import time_ms


def exporter(app: App, host: str, port: int, scale: Scale | None = None) -> Endpoint:
    """An endpoint with what Redis knows; ready while Redis answers, alive in any case.

    Args:
        app: whose Redis and namespace.
        host: the address it listens on.
        port: 0 = any that is free.
        scale: what tells how many replicas there should be; the usual one by default.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    scale = scale or Scale(app)
    registry = CollectorRegistry()
    registry.register(QueueMetrics(app, scale))
    probes = {"/livez": lambda: "", "/readyz": lambda: _trouble(app)}
    return Endpoint(registry, probes, host, port, {"/scale/": scale.answer})


class Health(Protocol):
    """Whoever is probed; each answer is why not, or ""."""

    def live(self) -> str:
        """Whether it should be left alone."""
        ...

    def started(self) -> str:
        """Whether it has begun, though it may wait for Redis."""
        ...

    def ready(self) -> str:
        """Whether it takes jobs."""
        ...


def of_work(collectors: Iterable[Collector], health: Health, host: str, port: int) -> Endpoint:
    """An endpoint of a worker, or of a supervisor of several.

    What the tasks themselves put into prometheus-client's own registry is told as well, and so is
    what that tells of the process.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    registry = CollectorRegistry()
    registry.register(_Ordinary())
    for collector in collectors:
        registry.register(collector)
    probes: Mapping[str, Probe] = {
        "/livez": health.live,
        "/readyz": health.ready,
        "/startupz": health.started,
    }
    return Endpoint(registry, probes, host, port)


class _Ordinary(Collector):
    """prometheus-client's own registry."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return REGISTRY.collect()


def _trouble(app: App) -> str:
    """Why Redis is not there, or ""."""
    try:
        app.connections.blocking().send(time_ms(), 0.0)
    except StoreError as error:
        return str(error)
    return ""
