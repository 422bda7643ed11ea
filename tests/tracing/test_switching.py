"""Tracing is switched on and off: for one app, for all, by tools; off, it is not even imported."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rqueue import ConfigError
from rqueue.app import App
from rqueue.contrib.otel import RqueueInstrumentor
from rqueue.contrib.otel.settings import Settings
from rqueue.events import Observers
from tests.support.processes import ROOT
from tests.support.spans import drawn, kept
from tests.support.working import burst

WORKING = """
import asyncio, sys
sys.modules["opentelemetry"] = None     # as if it were not installed; redis-py looks for it, too
from rqueue import App, Worker, WorkerConfig, Scheduler
import rqueue.cli.worker, rqueue.cli.logs, rqueue.testing

app = App(sys.argv[1], namespace=sys.argv[2])
@app.task
async def work() -> int:
    return 1

async def main():
    Scheduler(app)
    jobs = [await work.enqueue(), *await app.enqueue_many([work.call()])]
    await Worker(app, WorkerConfig(burst=True)).run()
    assert [await job.result(5) for job in jobs] == [1, 1]
    await app.close()

asyncio.run(main())
print(*sys.modules)
"""


async def test_apps_are_traced_one_by_one_or_all_and_no_more_when_that_is_taken_back(
    valkey_app: App, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    job = valkey_app.remote("x").options(delay=60)
    RqueueInstrumentor().instrument(tracer_provider=provider)
    try:
        await job.enqueue()
        RqueueInstrumentor.uninstrument_app(valkey_app)
        await job.enqueue()
        assert len(kept(spans)) == 1
        RqueueInstrumentor.instrument_app(valkey_app, tracer_provider=provider)
    finally:
        RqueueInstrumentor().uninstrument()
    await job.enqueue()
    other = App(valkey_app.store.url, namespace=valkey_app.store.namespace)
    await other.send("x")
    await other.close()

    assert len(kept(spans)) == 2


async def test_an_app_that_runs_already_is_traced_from_its_next_job_on(
    valkey_app: App, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    @valkey_app.task
    async def work() -> None: ...

    await work.enqueue()
    RqueueInstrumentor.instrument_app(valkey_app, tracer_provider=provider)
    await work.enqueue()
    await burst(valkey_app)

    assert drawn(kept(spans)) == [
        "CONSUMER process default #1",
        "CONSUMER process default #1 < send default -> send default",
        "PRODUCER send default",
    ]


def test_the_tools_of_opentelemetry_find_it() -> None:
    (found,) = entry_points(group="opentelemetry_instrumentor", name="rqueue")

    assert found.load() is RqueueInstrumentor
    assert found.load()()._check_dependency_conflicts() is None


def test_who_does_not_trace_needs_nothing_of_it(valkey_url: str, namespace: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WORKING, valkey_url, namespace],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert {"rqueue.tracing", "rqueue.worker.running"} < loaded
    assert not {name for name in loaded if name.startswith("rqueue.contrib")}
    assert "rqueue.client.traced" not in loaded
    assert Observers.tracing is None


def test_what_is_not_said_in_code_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.of() == Settings(propagation="parent", create_spans=100)
    monkeypatch.setenv("RQUEUE_TRACE_PROPAGATION", "link")
    monkeypatch.setenv("RQUEUE_TRACE_CREATE_SPANS", "0")

    assert Settings.of() == Settings(propagation="link", create_spans=0)
    assert Settings.of("parent", 7) == Settings(propagation="parent", create_spans=7)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RQUEUE_TRACE_PROPAGATION", "both", "RQUEUE_TRACE_PROPAGATION 'both' is not one of"),
        ("RQUEUE_TRACE_CREATE_SPANS", "many", "RQUEUE_TRACE_CREATE_SPANS 'many' is no number"),
        ("RQUEUE_TRACE_CREATE_SPANS", "99999", "RQUEUE_TRACE_CREATE_SPANS .* from 0 to 10000"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=told):
        RqueueInstrumentor().instrument()
    assert Observers.tracing is None


def test_a_wrong_setting_in_code_too() -> None:
    with pytest.raises(ConfigError, match="no option 'propagtion'; it takes tracer_provider, prop"):
        RqueueInstrumentor().instrument(propagtion="link", meter_provider=None)
    with pytest.raises(ConfigError, match="propagation 'both' is not one of parent, link"):
        RqueueInstrumentor.instrument_app(App(), propagation="both")  # pyright: ignore[reportArgumentType]
