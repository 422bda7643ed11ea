"""From a bucket of a histogram to the trace of a job that was counted in it."""

from __future__ import annotations

import re

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from rqueue.app import App
from rqueue.contrib.otel import RqueueInstrumentor
from rqueue.metrics import WorkerMetrics
from rqueue.worker.readings import Readings
from tests.support.spans import kept
from tests.support.working import working

_EXEMPLAR = re.compile(r'^rqueue_(\w+)_bucket\{.*\} [\d.]+ # \{trace_id="(\w+)"\} ', re.MULTILINE)


async def exemplars(app: App) -> tuple[list[tuple[str, str]], Readings]:
    """Metric and trace of those that are told when one job has run."""

    @app.task
    async def work() -> None: ...

    async with working(app) as worker:
        await (await work.enqueue()).wait(20)
    return told(worker.readings()), worker.readings()


def told(readings: Readings) -> list[tuple[str, str]]:
    registry = CollectorRegistry()
    registry.register(WorkerMetrics(lambda: readings))
    return _EXEMPLAR.findall(generate_latest(registry).decode())


async def test_a_bucket_leads_to_the_latest_trace_that_was_counted_in_it(
    traced: App, spans: InMemorySpanExporter
) -> None:
    found, readings = await exemplars(traced)

    ids = [one["context"]["trace_id"][2:] for one in kept(spans) if "process" in one["name"]]
    assert found == [("job_run_seconds", ids[0]), ("job_wait_seconds", ids[0])]
    together = Readings()
    together.add(readings)
    assert told(together) == found


async def test_a_trace_that_is_not_kept_is_not_told_of(valkey_app: App) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    RqueueInstrumentor.instrument_app(valkey_app, tracer_provider=provider)

    found, _ = await exemplars(valkey_app)
    assert found == []
