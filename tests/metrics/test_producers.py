"""What an app that sends jobs tells Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from rqueue import App
from rqueue.errors import ConfigError, PartlyRefused, RqueueError
from rqueue.metrics import ProducerMetrics, producers
from tests.support.tools import said, tool


def scraped(metrics: ProducerMetrics, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for metric in metrics.collect()
        for sample in metric.samples
        if sample.name == f"rqueue_{name}"
    }


async def send(app: App, call: Any, blocking: bool) -> None:
    """Send it, whatever comes of it."""
    try:
        if blocking:
            await asyncio.to_thread(app.enqueue_sync, call)
        else:
            await app.enqueue(call)
    except RqueueError:
        return


@pytest.mark.parametrize("blocking", [False, True])
async def test_every_call_is_counted_by_what_became_of_it(app: App, blocking: bool) -> None:
    metrics = ProducerMetrics(app)
    work, other = app.remote("work"), app.remote("other", "mail")

    @app.task(name="work", unique=lambda key: key)
    async def once(key: str) -> None: ...

    await app.inspector.limit("mail", waiting=1)
    for call in (
        work.call(1),
        work.options(job_id="a").call(1),
        work.options(job_id="a").call(1),
        once.call("k"),
        once.call("k"),
        work.options(job_id="a").call(2),
        work.call("x" * 2**20),
        other.call(1),
        other.call(1),
    ):
        await send(app, call, blocking)

    assert scraped(metrics, "jobs_enqueued_total") == {
        ("default", "work", "accepted"): 3,
        ("default", "work", "duplicate"): 2,
        ("default", "work", "rejected"): 2,
        ("mail", "other", "accepted"): 1,
        ("mail", "other", "rejected"): 1,
    }
    assert scraped(metrics, "enqueue_seconds_count") == {("default",): 7, ("mail",): 2}


@pytest.mark.parametrize("blocking", [False, True])
async def test_calls_that_go_together_are_counted_one_by_one_and_timed_once(
    app: App, blocking: bool
) -> None:
    metrics = ProducerMetrics(app)
    work, mail = app.remote("work"), app.remote("mail", "mail")
    await app.inspector.limit("mail", waiting=2)
    batches = ([work.call(n) for n in range(3)], [work.call(), *(mail.call(n) for n in range(5))])
    for batch in batches:
        try:
            if blocking:
                await asyncio.to_thread(app.enqueue_many_sync, batch)
            else:
                await app.enqueue_many(batch)
        except PartlyRefused:
            assert batch is batches[1]

    assert scraped(metrics, "jobs_enqueued_total") == {
        ("default", "work", "accepted"): 4,
        ("mail", "mail", "accepted"): 2,
        ("mail", "mail", "rejected"): 3,
    }
    assert scraped(metrics, "enqueue_seconds_count") == {("default",): 2, ("mail",): 1}


async def test_what_redis_did_not_take_is_an_error(namespace: str) -> None:
    app = App("redis://127.0.0.1:1/0", namespace=namespace)
    app.store = msgspec.structs.replace(app.store, retry_s=0)
    metrics = ProducerMetrics(app)
    await send(app, app.remote("work").call(), blocking=False)
    await app.close()

    assert scraped(metrics, "jobs_enqueued_total") == {("default", "work", "error"): 1}


async def test_beyond_a_bound_tasks_and_queues_are_counted_as_others(
    valkey_app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(producers, "MOST_TASKS", 2)
    monkeypatch.setattr(producers, "MOST_QUEUES", 1)
    metrics = ProducerMetrics(valkey_app)
    for task, queue in (("a", "x"), ("b", "x"), ("c", "x"), ("a", "x"), ("d", "y"), ("d", "y")):
        await valkey_app.remote(task, queue).enqueue()

    assert scraped(metrics, "jobs_enqueued_total") == {
        ("x", "a", "accepted"): 2,
        ("x", "b", "accepted"): 1,
        ("x", "_other", "accepted"): 1,
        ("_other", "_other", "accepted"): 2,
    }
    assert [one.message for one in caplog.records if "more count as _other" in one.message] == [
        "metrics: an app sends to more than 2 tasks; more count as _other",
        "metrics: an app sends to more than 1 queues; more count as _other",
        "metrics: an app sends to more than 2 tasks; more count as _other",
    ]


async def test_an_app_is_counted_by_one(valkey_app: App) -> None:
    ProducerMetrics(valkey_app)
    with pytest.raises(ConfigError, match="counted already"):
        ProducerMetrics(valkey_app)


async def test_promtool_finds_nothing_wrong(valkey_app: App) -> None:
    registry = CollectorRegistry()
    registry.register(ProducerMetrics(valkey_app))
    await valkey_app.remote("work").enqueue()

    page = generate_latest(registry).decode()
    assert said([tool("promtool"), "check", "metrics"], text=page) == ""
    assert 'rqueue_jobs_enqueued_total{queue="default",result="accepted",task="work"} 1.0' in page
