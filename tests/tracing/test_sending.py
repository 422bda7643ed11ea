"""Spans of what is sent, and what jobs carry from there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry import baggage, context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from rqueue import Context, PartlyRefused, PayloadTooLarge
from rqueue.app import App
from rqueue.contrib.otel import RqueueInstrumentor
from rqueue.envelope import open_envelope
from rqueue.errors import Conflict, StoreUnavailable
from rqueue.handle import Job
from rqueue.task import Task
from tests.support.spans import drawn, events, kept, seen, traces
from tests.support.working import burst

THEIRS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Add = Task[[str], str]


@pytest.fixture
def add(traced: App) -> Add:
    @traced.task(queue="mail", priority="high")
    async def add(word: str) -> str:
        return word

    return add


@pytest.fixture
def echo(valkey_traced: App) -> Add:
    @valkey_traced.task
    async def echo(word: str) -> str:
        return word

    return echo


async def send(task: Add, word: str, *, blocking: bool) -> Job[Any]:
    return await (asyncio.to_thread(task.enqueue_sync, word) if blocking else task.enqueue(word))


async def send_many(app: App, calls: Any, *, blocking: bool, **more: Any) -> list[Job[Any]]:
    if blocking:
        return await asyncio.to_thread(app.enqueue_many_sync, calls, **more)
    return await app.enqueue_many(calls, **more)


async def headers_of(job: Job[Any]) -> Mapping[str, str]:
    info = await job.info()
    assert info.envelope is not None
    return open_envelope(info.envelope).envelope.headers


def origin(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Without the flags, of which newer SDKs set more."""
    version, trace, span, _ = headers["traceparent"].split("-")
    return {**headers, "traceparent": f"{version}-{trace}-{span}"}


def ids(span: Mapping[str, Any]) -> str:
    """As ``traceparent`` says it."""
    found = span["context"]
    return f"00-{found['trace_id'][2:]}-{found['span_id'][2:]}"


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_job_is_sent_in_a_span_and_carries_its_context(
    add: Add, spans: InMemorySpanExporter, provider: TracerProvider, blocking: bool
) -> None:
    with provider.get_tracer("shop").start_as_current_span("request"):
        job = await send(add.options(delay=60), "x", blocking=blocking)

    sent, _ = kept(spans)
    assert drawn(kept(spans)) == ["INTERNAL request", "PRODUCER send mail < request"]
    assert origin(await headers_of(job)) == {"traceparent": ids(sent)}
    server = urlsplit(add.app.store.url)
    assert sent["attributes"] == {
        "messaging.system": "rqueue",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "mail",
        "messaging.message.id": job.id,
        "rqueue.task": "add",
        "rqueue.priority": "high",
        "rqueue.status": "accepted",
        **(
            {"server.address": server.path}
            if server.scheme == "unix"
            else {"server.address": server.hostname, "server.port": server.port}
        ),
    }
    assert sent["status"] == {"status_code": "UNSET"}


async def test_a_duplicate_is_told_of_as_one_and_is_no_error(
    echo: Add, spans: InMemorySpanExporter
) -> None:
    for _ in range(2):
        await echo.options(job_id="j").enqueue("x")

    told = [one["attributes"]["rqueue.status"] for one in kept(spans)]
    assert told == ["accepted", "duplicate"]
    assert {one["status"]["status_code"] for one in kept(spans)} == {"UNSET"}


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_refused_job_ends_its_span_with_the_error(
    echo: Add, spans: InMemorySpanExporter, blocking: bool
) -> None:
    await echo.options(job_id="j").enqueue("x")
    spans.clear()

    with pytest.raises(Conflict) as refused:
        await send(echo.options(job_id="j"), "y", blocking=blocking)

    (sent,) = kept(spans)
    text = str(refused.value)
    assert events(sent) == [{"exception.type": "rqueue.errors.Conflict", "exception.message": text}]
    assert sent["attributes"]["error.type"] == "rqueue.errors.Conflict"
    assert sent["status"] == {"status_code": "ERROR", "description": text}


async def test_a_server_that_does_not_answer_ends_the_span(
    spans: InMemorySpanExporter, provider: TracerProvider, namespace: str
) -> None:
    app = App("redis://127.0.0.1:1/0", namespace=namespace)
    RqueueInstrumentor.instrument_app(app, tracer_provider=provider)

    with pytest.raises(StoreUnavailable):
        await app.send("x")
    await app.close()

    assert [one["attributes"]["error.type"] for one in kept(spans)] == [
        "rqueue.errors.StoreUnavailable"
    ]


async def test_a_cancelled_sender_ends_the_span(echo: Add, spans: InMemorySpanExporter) -> None:
    sending = asyncio.create_task(echo.enqueue("x"))
    asyncio.get_running_loop().call_soon(sending.cancel)

    with pytest.raises(asyncio.CancelledError):
        await sending

    (sent,) = kept(spans)
    assert sent["attributes"]["error.type"] == "asyncio.exceptions.CancelledError"


@pytest.mark.parametrize("create_spans", [100, 2])
@pytest.mark.parametrize("blocking", [False, True])
async def test_a_batch_has_one_span_and_one_for_each_job_unless_there_are_too_many(
    app: App, spans: InMemorySpanExporter, provider: TracerProvider, blocking: bool,
    create_spans: int,
) -> None:  # fmt: skip
    RqueueInstrumentor.instrument_app(app, tracer_provider=provider, create_spans=create_spans)
    task = app.remote("x").options(delay=60)

    with provider.get_tracer("shop").start_as_current_span("request"):
        jobs = await send_many(app, [task.call(n) for n in range(3)], blocking=blocking)

    found = kept(spans)
    *created, sent, _ = found
    if create_spans == 100:
        assert [one.line for one in seen(found)] == [
            *["PRODUCER create default < request"] * 3,
            "CLIENT send default < request -> create default, create default, create default",
            "INTERNAL request",
        ]
        assert [one["attributes"]["messaging.message.id"] for one in created] == [
            job.id for job in jobs
        ]
    else:
        assert [one.line for one in seen(found)] == [
            "PRODUCER send default < request",
            "INTERNAL request",
        ]
    origins = created or [sent] * 3
    assert [origin(await headers_of(job)) for job in jobs] == [
        {"traceparent": ids(one), "rqueue-trace": "link"} for one in origins
    ]
    told = sent["attributes"]
    assert (told["messaging.batch.message_count"], told["rqueue.status.accepted"]) == (3, 3)
    assert "messaging.message.id" not in told


async def test_a_batch_over_several_queues_names_none(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    calls = [valkey_traced.remote("x", queue).call() for queue in ("a", "b")]
    await valkey_traced.enqueue_many(calls)

    assert drawn(kept(spans)) == [
        "CLIENT send -> create a, create b", "PRODUCER create a", "PRODUCER create b"
    ]  # fmt: skip


async def test_a_trace_that_the_sender_names_wins_and_is_linked(
    echo: Add, spans: InMemorySpanExporter
) -> None:
    theirs = {"traceparent": THEIRS, "tenant": "acme"}
    named = echo.options(headers=theirs, delay=60)
    job = await named.enqueue("x")
    (alone,) = seen(kept(spans))
    spans.clear()
    jobs = await echo.app.enqueue_many([named.call("y"), echo.options(delay=60).call("z")])  # pyright: ignore[reportAttributeAccessIssue]

    assert alone.line == "CLIENT send default -> elsewhere"
    assert drawn(kept(spans)) == [
        "CLIENT send default -> create default, elsewhere", "PRODUCER create default"
    ]  # fmt: skip
    assert [await headers_of(one) for one in (job, jobs[0])] == [theirs] * 2


async def test_what_the_sender_put_into_the_headers_stays(echo: Add) -> None:
    token = context.attach(baggage.set_baggage("tenant", "ours"))
    job = await echo.options(headers={"baggage": "tenant=theirs"}, delay=60).enqueue("x")
    other = await echo.options(delay=60).enqueue("x")
    context.detach(token)

    assert (await headers_of(job))["baggage"] == "tenant=theirs"
    assert (await headers_of(other))["baggage"] == "tenant=ours"


async def test_where_instrumentation_is_suppressed_nothing_is_told(
    echo: Add, spans: InMemorySpanExporter
) -> None:
    with suppress_instrumentation():
        job = await echo.options(delay=60).enqueue("x")

    assert (kept(spans), await headers_of(job)) == ([], {})


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_call_that_is_too_large_with_its_context_goes_without(
    valkey_url: str, namespace: str, spans: InMemorySpanExporter, provider: TracerProvider,
    blocking: bool,
) -> None:  # fmt: skip
    app = App(valkey_url, namespace=namespace, max_payload=100)
    RqueueInstrumentor.instrument_app(app, tracer_provider=provider, create_spans=0)
    task = app.remote("x").options(delay=60)

    job = await send(task, "x" * 50, blocking=blocking)
    jobs = await send_many(app, [task.call("x" * 50), task.call("y")], blocking=blocking)
    with pytest.raises(PayloadTooLarge, match=r"takes 1\d\d bytes"):
        await send(task, "x" * 110, blocking=blocking)

    left_out = [one["attributes"].get("rqueue.context_left_out") for one in kept(spans)]
    assert left_out == [1, 2, 1]
    assert [await headers_of(one) for one in (job, *jobs)] == [{}] * 3
    await app.close()


@pytest.mark.parametrize("blocking", [False, True])
async def test_so_does_one_that_is_over_the_cap_of_its_queue(
    traced: App, spans: InMemorySpanExporter, blocking: bool
) -> None:
    await traced.inspector.limit("default", payload=100)
    task = traced.remote("x").options(delay=60)

    job = await send(task, "x" * 50, blocking=blocking)
    calls = [task.options(queue="other").call("y"), task.call("x" * 50)]
    jobs = await send_many(traced, calls, blocking=blocking, spread=3600)
    calls = [task.call("x" * 50), task.call("x" * 200)]
    with pytest.raises(PartlyRefused) as refused:
        await send_many(traced, calls, blocking=blocking)

    assert [await headers_of(one) for one in (job, jobs[1])] == [{}] * 2
    assert "traceparent" in await headers_of(jobs[0])
    first, last = [(await one.info()).due_at for one in jobs]
    assert first is not None
    assert last is not None
    assert 3590 <= (last - first).total_seconds() <= 3610
    fits, too_large = refused.value.outcomes
    assert isinstance(fits, Job)
    assert isinstance(too_large, PayloadTooLarge)
    batch = kept(spans)[-1]["attributes"]
    assert (batch["rqueue.status.accepted"], batch["rqueue.status.refused"]) == (1, 1)
    assert batch["rqueue.context_left_out"] == 2


async def test_the_same_call_twice_in_a_batch_is_refused_as_ever(
    valkey_traced: App, spans: InMemorySpanExporter
) -> None:
    call = valkey_traced.remote("x").call()

    with pytest.raises(TypeError, match="stands twice"):
        await valkey_traced.enqueue_many([call, call])
    assert await valkey_traced.enqueue_many([]) == []
    assert kept(spans) == []


class Broken(Sampler):
    def should_sample(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    def get_description(self) -> str:
        return "broken"


async def test_tracing_that_fails_fails_no_job(
    valkey_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(sampler=Broken())
    RqueueInstrumentor.instrument_app(valkey_app, tracer_provider=provider)

    @valkey_app.task
    async def ok(ctx: Context) -> int:
        return 7

    job = await ok.enqueue()
    (other,) = await valkey_app.enqueue_many([ok.call()])
    await burst(valkey_app)

    assert [await one.result(5) for one in (job, other)] == [7, 7]
    assert "tracing failed; the job goes on without it" in caplog.text


async def test_jobs_that_go_at_once_each_have_their_own_parent(
    echo: Add, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    async def request(number: int) -> None:
        with provider.get_tracer("shop").start_as_current_span(f"request {number}"):
            await echo.enqueue(str(number))

    await asyncio.gather(*map(request, range(5)))

    assert drawn(kept(spans)) == [
        *(f"INTERNAL request {n}" for n in range(5)),
        *(f"PRODUCER send default < request {n}" for n in range(5)),
    ]
    assert traces(kept(spans)) == 5
