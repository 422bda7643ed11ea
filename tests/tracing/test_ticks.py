"""Spans of schedules: whoever makes a tick sends it, and what it leads to is linked to that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rqueue import ConfigError, Context, Retry
from rqueue.app import App
from rqueue.contrib.otel import RqueueInstrumentor
from rqueue.errors import StoreUnavailable
from rqueue.events import JobFinished, ScheduleTicked
from rqueue.store.scripts import FIRE
from rqueue.store.transport import AsyncTransport
from tests.support.spans import drawn, kept, seen
from tests.support.waiting import Ears
from tests.support.working import burst, scheduling, working

JOB = "messaging.message.id"


async def test_a_tick_is_sent_by_the_scheduler_that_made_it(
    traced: App, spans: InMemorySpanExporter
) -> None:
    ears = Ears(traced)

    @traced.every("1s")
    @traced.task(retry=Retry(max_attempts=2, base=0.001))
    async def poll(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise ConnectionError

    async with working(traced), scheduling(traced):
        await ears.hears(JobFinished, ending="complete")

    sent = [
        one
        for one in seen(kept(spans))
        if "send default" in one.line and "CONSUMER" not in one.line
    ]
    assert sent[0].line == "PRODUCER send default"
    told = sent[0].told
    assert told[JOB].startswith("poll@")
    assert (told["rqueue.schedule"], told["rqueue.status"]) == ("poll", "ran")
    its = [one for one in kept(spans) if one["attributes"][JOB] == told[JOB]]
    assert drawn(its) == [
        "CONSUMER process default #1 -> send default",
        "CONSUMER process default #2 -> send default",
        "PRODUCER send default",
    ]
    assert {one["attributes"]["rqueue.tick_ms"] for one in its} == {told["rqueue.tick_ms"]}


async def test_a_tick_that_another_scheduler_did_is_not_told_of(
    traced: App, spans: InMemorySpanExporter
) -> None:
    ears = Ears(traced)

    @traced.every("1s", overlap="allow")
    @traced.task
    async def poll() -> None: ...

    async with scheduling(traced), scheduling(traced), scheduling(traced):
        await ears.hears(ScheduleTicked, 2)

    # One whose answer a scheduler did not wait for, as it was told to stop, is told of as failed.
    ids = [one["attributes"][JOB] for one in kept(spans) if "error.type" not in one["attributes"]]
    assert len(ids) == len(set(ids)) == len(ears.of(ScheduleTicked))


async def test_a_tick_whose_trip_is_lost_ends_its_span(
    traced: App, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears = Ears(traced)
    send_many = AsyncTransport.send_many

    async def cut_once(self: AsyncTransport, calls: Any, retry_s: float | None = None) -> list[Any]:
        if any(one.script is FIRE for one in calls):
            monkeypatch.setattr(AsyncTransport, "send_many", send_many)
            raise StoreUnavailable("the line is cut")
        return await send_many(self, calls, retry_s)

    monkeypatch.setattr(AsyncTransport, "send_many", cut_once)

    @traced.every("1s", overlap="allow")
    @traced.task
    async def poll() -> None: ...

    async with scheduling(traced):
        await ears.hears(ScheduleTicked)

    first, *others = kept(spans)
    assert first["attributes"]["error.type"] == "rqueue.errors.StoreUnavailable"
    assert {one["status"]["status_code"] for one in others} == {"UNSET"}


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_run_that_somebody_asks_for_is_part_of_the_trace_that_asks(
    traced: App, spans: InMemorySpanExporter, provider: TracerProvider, blocking: bool
) -> None:
    @traced.task
    async def report() -> None: ...

    await traced.schedules.upsert("monthly", report.call(), every="30d")
    with provider.get_tracer("shop").start_as_current_span("click"):
        if blocking:
            job = await asyncio.to_thread(traced.schedules_sync.trigger, "monthly")
        else:
            job = await traced.schedules.trigger("monthly")
    await burst(traced)

    assert drawn(kept(spans)) == [
        "CONSUMER process default #1 < send default -> send default",
        "INTERNAL click",
        "PRODUCER send default < click",
    ]
    (sent,) = [one for one in kept(spans) if one["name"] == "send default"]
    assert (sent["attributes"][JOB], sent["attributes"]["rqueue.status"]) == (job.id, "ran")


async def test_a_run_that_is_refused_ends_its_span(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    @valkey_traced.task
    async def report() -> None: ...

    only = report.options(unique="report")
    await only.enqueue()
    await valkey_traced.schedules.upsert("monthly", only.call(), every="30d")
    with pytest.raises(ConfigError, match="holds the unique key"):
        await valkey_traced.schedules.trigger("monthly")

    assert kept(spans)[-1]["attributes"]["error.type"] == "rqueue.errors.ConfigError"


async def test_a_tick_that_is_too_large_with_its_context_goes_without(
    valkey_url: str, namespace: str, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    app = App(valkey_url, namespace=namespace, max_payload=130)
    RqueueInstrumentor.instrument_app(app, tracer_provider=provider)
    ears = Ears(app)

    @app.every("1s")
    @app.task
    async def poll() -> None: ...

    async with working(app), scheduling(app):
        await ears.hears(JobFinished, ending="complete")
    await app.close()

    sent = next(one for one in kept(spans) if one["name"] == "send default")
    assert sent["attributes"]["rqueue.context_left_out"] == 1
    assert "CONSUMER process default #1" in drawn(kept(spans))
