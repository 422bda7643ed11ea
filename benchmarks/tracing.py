"""What tracing costs a job: processor time of sender and worker, with tracing off and on.

    python -m benchmarks.tracing

Times of a busy machine: the modes take turns, and the least of all rounds is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import NoOpTracerProvider

from rqueue import App, Task, Worker, WorkerConfig
from rqueue.contrib.otel import RqueueInstrumentor
from rqueue.embedded import EmbeddedServer

ROUNDS = 7
JOBS = 2_000
BATCH = 500


class Nowhere(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def _exporting() -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    return provider


def _sampled_out() -> TracerProvider:
    return TracerProvider(sampler=ParentBased(ALWAYS_OFF))


MODES: dict[str, Callable[[], Any]] = {
    "off": lambda: None,
    "on, no SDK": NoOpTracerProvider,
    "on, sampled out": _sampled_out,
    "on, every span kept": _exporting,
}
MEASURES = ("enqueue one", "enqueue many", "enqueue many, a span each", "drain")


async def _measured(url: str, provider: Any) -> dict[str, float]:
    app = App(url, namespace=f"bench{time.monotonic_ns()}")

    @app.task(result_ttl=0)
    async def noop(text: str) -> int:
        return len(text)

    def trace(create_spans: int) -> None:
        if provider is not None:
            RqueueInstrumentor.instrument_app(
                app, tracer_provider=provider, create_spans=create_spans
            )

    trace(0)
    await noop.enqueue("warm")
    told = {"enqueue one": await _cost(lambda: _one_by_one(noop))}
    told["enqueue many"] = await _cost(lambda: _many(app, noop))
    worker = Worker(app, WorkerConfig(burst=True))
    told["drain"] = await _cost(worker.run, jobs=1 + 2 * JOBS)
    trace(BATCH)
    told["enqueue many, a span each"] = await _cost(lambda: _many(app, noop))
    await app.close()
    return told


async def _one_by_one(task: Task[[str], int]) -> None:
    for _ in range(JOBS):
        await task.enqueue("x" * 100)


async def _many(app: App, task: Task[[str], int]) -> None:
    for _ in range(JOBS // BATCH):
        await app.enqueue_many(task.call("x" * 100) for _ in range(BATCH))


async def _cost(act: Callable[[], Awaitable[Any]], jobs: int = JOBS) -> float:
    """Microseconds of this process' time for each job."""
    began = time.process_time()
    await act()
    return (time.process_time() - began) / jobs * 1e6


def main() -> None:
    least: dict[str, dict[str, float]] = {mode: {} for mode in MODES}
    with EmbeddedServer.start() as server:
        for _ in range(ROUNDS):
            for mode, provider in MODES.items():
                made = provider()
                for name, cost in asyncio.run(_measured(server.url, made)).items():
                    least[mode][name] = min(cost, least[mode].get(name, cost))
                if isinstance(made, TracerProvider):
                    made.shutdown()
    row = "| {:21} |" + " {:>25} |" * len(MEASURES)
    print(row.format("microseconds a job", *MEASURES))
    print("|---" * (1 + len(MEASURES)) + "|")
    for mode, costs in least.items():
        print(row.format(mode, *(f"{costs[name]:.1f}" for name in MEASURES)))


if __name__ == "__main__":
    main()
