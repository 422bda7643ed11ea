"""Spans of attempts: whose part they are, what they are linked to, and how they ended."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rqueue import Context, Discard, Fail, QueueShare, Retry, RetryAfter, Sensitive, Snooze
from rqueue.app import App
from rqueue.contrib.otel import RqueueInstrumentor
from rqueue.events import JobStarted
from rqueue.logs import JobFilter
from rqueue.testing import Harness
from rqueue.worker.executor import Executor
from tests.support.spans import drawn, events, kept, seen, traces
from tests.support.waiting import Ears, eventually
from tests.support.working import burst, scheduling, working

PROCESS = "CONSUMER process default #1 < send default -> send default"
ALONE = "CONSUMER process default #1 -> send default"
THEIRS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ONCE = Retry(max_attempts=1)


def processed(spans: InMemorySpanExporter) -> list[dict[str, Any]]:
    return [one for one in kept(spans) if one["name"].startswith("process")]


@pytest.mark.parametrize("kind", ["loop", "thread"])
async def test_an_attempt_is_part_of_the_trace_that_sent_it_and_so_is_all_it_does(
    traced: App, spans: InMemorySpanExporter, provider: TracerProvider, kind: str
) -> None:
    tracer = provider.get_tracer("shop")

    async def on_loop(word: str) -> str:
        with tracer.start_as_current_span("query"):
            return word

    def in_thread(word: str) -> str:
        with tracer.start_as_current_span("query"):
            return word

    task: Any = traced.task(on_loop if kind == "loop" else in_thread)
    with tracer.start_as_current_span("request"):
        job = await task.options(priority="high").enqueue("x")
    await burst(traced)

    assert drawn(kept(spans)) == [
        PROCESS, "INTERNAL query < process default #1", "INTERNAL request",
        "PRODUCER send default < request",
    ]  # fmt: skip
    assert traces(kept(spans)) == 1
    (span,) = processed(spans)
    told = span["attributes"]
    assert told.pop("messaging.client.id") == (await job.info()).worker
    assert 0 <= told.pop("rqueue.wait_ms") < 60_000
    assert {name: value for name, value in told.items() if not name.startswith("server.")} == {
        "messaging.system": "rqueue",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.message.id": job.id,
        "rqueue.task": task.name,
        "rqueue.attempt": 1,
        "rqueue.priority": "high",
        "rqueue.outcome": "complete",
    }
    assert "server.address" in told
    assert span["status"] == {"status_code": "UNSET"}


async def test_every_attempt_is_linked_to_where_its_job_was_sent(
    traced: App, spans: InMemorySpanExporter
) -> None:
    @traced.task(retry=Retry(max_attempts=2, base=0.001))
    async def flaky(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise ConnectionError("the bank is closed")

    job = await flaky.enqueue()
    async with scheduling(traced), working(traced):
        await job.result(20)

    assert drawn(kept(spans)) == [
        PROCESS, PROCESS.replace("#1", "#2"), "PRODUCER send default"
    ]  # fmt: skip
    first, second = processed(spans)
    assert first["attributes"]["rqueue.outcome"] == "retry"
    assert first["attributes"]["error.type"] == "ConnectionError"
    assert first["status"] == {"status_code": "ERROR", "description": "the bank is closed"}
    assert events(first) == [
        {"exception.type": "ConnectionError", "exception.message": "the bank is closed"}
    ]
    assert "in flaky" in first["events"][0]["attributes"]["exception.stacktrace"]
    assert second["attributes"]["rqueue.outcome"] == "complete"
    assert second["status"] == {"status_code": "UNSET"}


ENDINGS: dict[str, tuple[BaseException | None, dict[str, str]]] = {
    "snoozed": (Snooze(60), {"rqueue.outcome": "snooze"}),
    "later": (
        RetryAfter(60), {"rqueue.outcome": "retry", "error.type": "rqueue.outcome.RetryAfter"}
    ),
    "discarded": (Discard("gone"), {"rqueue.outcome": "cancel", "rqueue.reason": "gone"}),
    "given up": (
        Fail("no"),
        {"rqueue.outcome": "bury", "rqueue.reason": "fail", "error.type": "rqueue.outcome.Fail"},
    ),
    "over time": (
        None,
        {
            "rqueue.outcome": "bury",
            "rqueue.reason": "failed",
            "error.type": "rqueue.errors.AttemptTimeout",
        },
    ),
    "an exit": (
        SystemExit(3),
        {"rqueue.outcome": "bury", "rqueue.reason": "failed", "error.type": "SystemExit"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("ending", [*ENDINGS])
async def test_how_an_attempt_ended_is_told(
    valkey_traced: App, spans: InMemorySpanExporter, ending: str
) -> None:
    raised, wanted = ENDINGS[ending]
    retry = Retry(max_attempts=2) if ending == "later" else ONCE

    @valkey_traced.task(timeout=300 if raised else 0.01, retry=retry)
    async def end() -> None:
        if raised is None:
            await asyncio.Event().wait()
        raise raised or AssertionError

    await end.enqueue()
    await burst(valkey_traced)

    (span,) = processed(spans)
    ours = ("rqueue.outcome", "rqueue.reason", "error.type")
    assert {k: v for k, v in span["attributes"].items() if k in ours} == wanted
    assert (span["status"]["status_code"] == "ERROR") == ("error.type" in wanted)


async def test_an_attempt_that_fails_within_rqueue_ends_its_span(
    valkey_traced: App, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    @valkey_traced.task
    async def nothing() -> None: ...

    async def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Executor, "run", broken)
    await nothing.enqueue()
    async with working(valkey_traced):
        await eventually(lambda: bool(processed(spans)))

    (span,) = processed(spans)
    assert span["attributes"]["rqueue.outcome"] == "fenced"


@pytest.mark.parametrize("how", ["cancel", "release", "fenced", "fenced, and it returns"])
async def test_what_is_stopped_from_outside_is_told_too_and_is_no_error(
    valkey_traced: App, spans: InMemorySpanExporter, how: str
) -> None:
    ears = Ears(valkey_traced)

    @valkey_traced.task
    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if how != "fenced, and it returns":
                raise

    job = await forever.enqueue()
    async with working(valkey_traced) as worker:
        await ears.hears(JobStarted)
        (attempt,) = worker._running.attempts()  # pyright: ignore[reportPrivateUsage]
        if how == "cancel":
            await job.cancel()
            assert await job.wait(20) == "cancelled"
        elif how.startswith("fenced"):
            worker._on_fenced(attempt.lease)  # pyright: ignore[reportPrivateUsage]

    span = processed(spans)[0]
    assert span["attributes"]["rqueue.outcome"] == how.partition(",")[0]
    assert span["status"] == {"status_code": "UNSET"}


async def test_a_job_that_cannot_be_run_has_a_span_and_one_that_is_parked_has_none(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    @valkey_traced.task
    async def count(number: int) -> None: ...

    stranger = App(valkey_traced.store.url, namespace=valkey_traced.store.namespace)
    await stranger.remote("count").options(headers={"traceparent": THEIRS}).enqueue("no number")
    await stranger.remote("count").options(expires=1e-9).enqueue(1)
    await stranger.send("nobody_knows")
    await stranger.close()
    spans.clear()
    await burst(valkey_traced)

    told = [(one.line, one.told["rqueue.outcome"], one.told.get("rqueue.reason", ""))
            for one in seen(processed(spans))]  # fmt: skip
    assert told == [
        ("CONSUMER process default #1 < elsewhere -> elsewhere", "bury", "arguments"),
        ("CONSUMER process default #1", "expire", ""),
    ]


async def test_headers_of_a_stranger_break_no_span(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    @valkey_traced.task
    async def work() -> None: ...

    stranger = App(valkey_traced.store.url, namespace=valkey_traced.store.namespace)
    theirs = {"rqueue-schedule": "x" * 1000, "rqueue-tick": "9" * 5000, "traceparent": "00-1-2"}
    jobs = [
        stranger.remote("work").options(headers=theirs | more)
        for more in ({}, {"rqueue-tick": "٣"})
    ]
    for job in jobs:
        await job.enqueue()
    await stranger.close()
    await burst(valkey_traced)

    assert drawn(kept(spans)) == ["CONSUMER process default #1"] * 2
    told = [one.told for one in seen(kept(spans))]
    assert [one["rqueue.schedule"] for one in told] == ["x" * 80] * 2
    assert not any("rqueue.tick_ms" in one for one in told)


async def test_a_sensitive_argument_is_not_in_a_span(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    @valkey_traced.task(retry=ONCE)
    async def log_in(password: Sensitive[str]) -> None:
        raise ValueError(f"not {password}")

    await log_in.enqueue("canary-4711")
    await burst(valkey_traced)

    (span,) = processed(spans)
    assert events(span) == [{"exception.type": "ValueError", "exception.message": "not [redacted]"}]
    assert "canary-4711" not in repr(kept(spans))
    assert "canary" not in repr([one.to_json() for one in spans.get_finished_spans()])


async def test_a_job_that_a_job_sends_is_sent_from_its_attempt(
    traced: App, spans: InMemorySpanExporter
) -> None:
    @traced.task(queue="second")
    async def second() -> None: ...

    @traced.task
    def first() -> None:
        second.enqueue_sync()

    await first.enqueue()
    await burst(traced, queues=(QueueShare("default"), QueueShare("second")))

    assert drawn(kept(spans)) == [
        PROCESS, "CONSUMER process second #1 < send second -> send second",
        "PRODUCER send default", "PRODUCER send second < process default #1",
    ]  # fmt: skip
    assert traces(kept(spans)) == 1


async def test_jobs_of_a_batch_are_linked_and_traces_of_their_own(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    @valkey_traced.task
    async def work() -> None: ...

    await valkey_traced.enqueue_many([work.call(), work.call()])
    await burst(valkey_traced)

    alone = "CONSUMER process default #1 -> create default"
    assert [one.line for one in seen(kept(spans))[3:]] == [alone, alone]
    assert traces(processed(spans)) == 2


async def test_every_attempt_is_a_trace_of_its_own_if_that_is_wanted(
    valkey_app: App, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    RqueueInstrumentor.instrument_app(valkey_app, tracer_provider=provider, propagation="link")
    found: list[object] = []

    @valkey_app.task
    async def work() -> None:
        found.append(baggage.get_baggage("tenant"))

    token = context.attach(baggage.set_baggage("tenant", "acme"))
    await work.enqueue()
    context.detach(token)
    await burst(valkey_app)

    assert drawn(kept(spans)) == [ALONE, "PRODUCER send default"]
    assert traces(kept(spans)) == 2
    assert found == ["acme"]


async def test_so_is_one_whose_job_was_sent_more_than_an_hour_ago(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    @valkey_traced.task
    async def work() -> None: ...

    async with Harness(valkey_traced, url=valkey_traced.store.url) as rq:
        await work.options(delay=timedelta(minutes=59)).enqueue()
        await rq.clock.advance(hours=1)
        await work.options(delay=timedelta(minutes=61)).enqueue()
        await rq.clock.advance(hours=2)

    assert [one.line for one in seen(processed(spans))] == [
        PROCESS.replace("< send default -> send default", "< elsewhere -> elsewhere"),
        ALONE.replace("send default", "elsewhere"),
    ]
    assert [one.line for one in seen(kept(spans))].count(PROCESS) == 1


@pytest.mark.parametrize("propagation", ["parent", "link"])
async def test_the_work_of_a_worker_that_runs_in_a_span_is_no_part_of_it(
    valkey_traced: App, spans: InMemorySpanExporter, provider: TracerProvider, propagation: Any
) -> None:
    RqueueInstrumentor.instrument_app(
        valkey_traced, tracer_provider=provider, propagation=propagation
    )

    @valkey_traced.task
    async def work() -> None: ...

    stranger = App(valkey_traced.store.url, namespace=valkey_traced.store.namespace)
    await stranger.send("work")
    await stranger.close()
    with provider.get_tracer("shop").start_as_current_span("a test"):
        await burst(valkey_traced)

    assert drawn(kept(spans)) == ["CONSUMER process default #1", "INTERNAL a test"]


async def test_a_call_run_here_belongs_to_whoever_runs_it(
    valkey_traced: App, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("shop")

    @valkey_traced.task
    async def work() -> None:
        with tracer.start_as_current_span("query"):
            pass

    with tracer.start_as_current_span("request"):
        await work.now()

    assert drawn(kept(spans)) == ["INTERNAL query < request", "INTERNAL request"]


async def test_log_lines_of_a_job_carry_its_span_to_the_line_of_its_end(
    valkey_traced: App, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    @valkey_traced.task
    def work() -> None:
        logging.getLogger("shop").info("working")

    caplog.handler.addFilter(JobFilter())
    with caplog.at_level(logging.INFO):
        await work.enqueue()
        await burst(valkey_traced)

    (span,) = processed(spans)
    told = {one.name: (vars(one)["trace_id"], vars(one)["span_id"]) for one in caplog.records
            if one.name in ("shop", "rqueue.jobs")}  # fmt: skip
    its = (span["context"]["trace_id"][2:], span["context"]["span_id"][2:])
    assert told == {"shop": its, "rqueue.jobs": its}
    assert not trace.get_current_span().get_span_context().is_valid
