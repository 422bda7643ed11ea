"""What Redis knows of queues and schedules, as it is scraped."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from redis import Redis

from rqueue import App, LeaseConfig, Retry
from rqueue.clock import monotonic, now_ms
from rqueue.metrics import QueueMetrics, memory, queues
from rqueue.store.calls import entries, leases
from rqueue.store.calls.workers import introduce
from rqueue.store.keys import LANES, QueueKeys, queue_keys
from rqueue.store.transport import Transport
from tests.support.clients import client
from tests.support.tools import said, tool
from tests.support.waiting import eventually
from tests.support.working import scheduling, working


def registry_of(app: App) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(QueueMetrics(app))
    return registry


def scraped(app: App, *names: str) -> dict[tuple[str, ...], float]:
    """The samples of these metrics, or all; without the prefix of their names."""
    return {
        (sample.name.removeprefix("rqueue_"), *sample.labels.values()): sample.value
        for metric in registry_of(app).collect()
        for sample in metric.samples
        if not names or sample.name.removeprefix("rqueue_") in names
    }


async def test_jobs_are_told_by_state_and_by_outcome(app: App) -> None:
    hold = asyncio.Event()

    @app.task
    async def work() -> None: ...

    @app.task
    async def wait() -> None:
        await hold.wait()

    @app.task(retry=Retry(max_attempts=1))
    async def fail() -> None:
        raise ValueError

    @app.task(expires=0.001)
    async def hurry() -> None: ...

    for task in (work, work, fail, hurry, wait):
        await task.enqueue()
    await (await work.options(delay=3600).enqueue()).cancel()
    await work.options(delay=3600).enqueue()
    async with working(app):
        await eventually(lambda: sum(scraped(app, "queue_processed_jobs_total").values()) == 5)
        await app.inspector.pause("default")
        await eventually(lambda: scraped(app, "queue_paused") == {("queue_paused", "default"): 1})
        told = scraped(
            app, "queue_jobs", "queue_processed_jobs_total", "queue_enqueued_jobs_total",
            "queue_workers", "workers", "queue_reclaimed_jobs_total",
        )  # fmt: skip
        hold.set()

    assert told == {
        ("queue_jobs", "default", "ready"): 0,
        ("queue_jobs", "default", "scheduled"): 1,
        ("queue_jobs", "default", "running"): 1,
        ("queue_jobs", "default", "dead"): 1,
        ("queue_workers", "default"): 1,
        ("workers", "running"): 1,
        ("workers", "draining"): 0,
        ("workers", "lost"): 0,
        ("queue_reclaimed_jobs_total", "default"): 0,
        ("queue_enqueued_jobs_total", "default"): 7,
        ("queue_processed_jobs_total", "default", "succeeded"): 2,
        ("queue_processed_jobs_total", "default", "dead"): 1,
        ("queue_processed_jobs_total", "default", "cancelled"): 1,
        ("queue_processed_jobs_total", "default", "expired"): 1,
    }


async def test_workers_are_told_by_how_they_stand(app: App, redis: Redis, keys: QueueKeys) -> None:
    await app.send("work", queue="default")
    states = {"a": "working", "b": "quiet", "c": "stopping", "gone": "working"}
    for worker, state in states.items():
        card = msgspec.msgpack.encode({"queues": ["default"], "state": state})
        app.connections.blocking().send(introduce(app.store.namespace, worker, card))
    redis.zadd(keys.leases, {"a": 1, "b": 1, "c": 1})

    assert scraped(app, "workers") == {
        ("workers", "running"): 1, ("workers", "draining"): 2, ("workers", "lost"): 1,
    }  # fmt: skip


async def test_what_was_taken_from_the_dead_is_counted_whoever_did_it(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    await app.send("work", queue="default")
    redis.hset(keys.meta, mapping={"reap": 4, "crash": 1})

    told = scraped(app, "queue_reclaimed_jobs_total")

    assert told == {("queue_reclaimed_jobs_total", "default"): 5}


@pytest.fixture
def keys(app: App) -> QueueKeys:
    return queue_keys(app.store.namespace, "default")


async def test_jobs_that_a_scheduler_takes_from_the_dead_are_told_from_none_on(
    app: App, keys: QueueKeys
) -> None:
    name = "queue_reclaimed_jobs_total"
    await app.remote("work").enqueue()
    assert scraped(app, name) == {(name, "default"): 0}
    with closing(Transport(app.store)) as transport:
        transport.send(leases.register(keys, "dead", 1))
        transport.send(entries.fetch(keys, "dead", 1, [(lane, 1) for lane in LANES]))

    async with scheduling(app, lease=LeaseConfig(lease_s=0.5)):
        await eventually(lambda: scraped(app, name) == {(name, "default"): 1})


async def test_the_oldest_of_each_kind_tells_its_age(app: App, keys: QueueKeys) -> None:
    @app.task
    async def work() -> None: ...

    await work.enqueue()
    now = now_ms()
    with client(app.store.url) as redis:
        group = "workers"
        for lane, ids in {"low": (90, 40), "high": (60, 20)}.items():
            stream = keys.stream(lane)
            redis.xgroup_create(stream, group, mkstream=True)
            for seconds in ids:
                redis.xadd(stream, {"i": "j"}, id=f"{now - seconds * 1000}-0")
            redis.xreadgroup(group, "w1", {stream: ">"}, count=1)
        redis.zadd(keys.schedule, {"j1": now - 30_000, "j2": now + 30_000})

    told = scraped(
        app, "queue_oldest_ready_age_seconds", "queue_oldest_running_age_seconds",
        "queue_scheduled_overdue_seconds",
    )  # fmt: skip
    assert {key: pytest.approx(age, abs=5) for key, age in told.items()} == {
        ("queue_oldest_ready_age_seconds", "default"): 40,
        ("queue_oldest_running_age_seconds", "default"): 90,
        ("queue_scheduled_overdue_seconds", "default"): 30,
    }


async def test_where_nothing_waits_runs_or_is_late_the_ages_are_0(app: App) -> None:
    @app.task
    async def work() -> None: ...

    await work.options(delay=3600).enqueue()

    assert set(scraped(app, "queue_oldest_ready_age_seconds", "queue_oldest_running_age_seconds",
                       "queue_scheduled_overdue_seconds").values()) == {0}  # fmt: skip


async def test_queues_tell_what_their_keys_take(app: App, redis: Redis, namespace: str) -> None:
    small, large = (app.remote("work", queue) for queue in ("small", "large"))
    await small.enqueue()
    await app.enqueue_many(large.call("x" * 100) for _ in range(300))

    told = scraped(app, "queue_memory_bytes")
    weighed = {
        ("queue_memory_bytes", queue): sum(
            redis.memory_usage(key, samples=20) or 0
            for key in redis.scan_iter(f"{namespace}:{{{queue}}}:*", count=1000)
        )
        for queue in ("small", "large")
    }
    assert told == pytest.approx(weighed, rel=0.01)  # of a server with many keys, a sample


async def test_what_keys_take_is_asked_once_a_minute(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic()
    monkeypatch.setattr(memory, "monotonic", lambda: now)
    keys = [queue_keys(app.store.namespace, "default")]
    await app.remote("work").enqueue()
    weighing = memory.Memory(app)
    first = weighing.of(keys)
    await app.remote("work").enqueue()

    assert weighing.of(keys) == first
    now += memory.EVERY_S
    assert weighing.of(keys)["default"] > first["default"]


async def test_who_may_not_weigh_keys_tells_no_sizes(app: App, redis: Redis) -> None:
    await app.remote("work").enqueue()
    redis.execute_command("ACL", "SETUSER", "looker", "on", "nopass", "~*", "&*", "+@all", "-scan")
    looker = App(app.store.url.replace("://", "://looker:x@"), namespace=app.store.namespace)
    with closing(looker.connections.blocking()):
        assert scraped(looker, "queue_memory_bytes", "redis_up") == {("redis_up",): 1}


async def test_a_key_of_a_wrong_type_hides_its_queue_and_no_other(
    app: App, redis: Redis, namespace: str
) -> None:
    await app.remote("work").enqueue()
    await app.remote("work", "mail").enqueue()
    redis.delete(queue_keys(namespace, "mail").meta)
    redis.set(queue_keys(namespace, "mail").meta, "of a wrong type")

    told = scraped(app, "queue_paused", "redis_up", "exporter_errors_total")
    assert told == {
        ("queue_paused", "default"): 0, ("redis_up",): 1, ("exporter_errors_total",): 1,
    }  # fmt: skip


async def test_a_date_that_is_none_is_not_overdue(app: App, redis: Redis, keys: QueueKeys) -> None:
    await app.remote("work").enqueue()
    redis.zadd(keys.schedule, {"a stranger's": "inf"})

    told = scraped(app, "queue_scheduled_overdue_seconds")
    assert told == {("queue_scheduled_overdue_seconds", "default"): 0}


async def test_schedules_tell_when_they_fire_and_have_fired(app: App) -> None:
    @app.task
    async def work() -> None: ...

    await app.schedules.upsert("yearly", work.call(), cron="0 0 1 1 *")
    await app.schedules.upsert("paused", work.call(), cron="0 0 1 1 *")
    await app.schedules.pause("paused")
    await app.schedules.trigger("paused")
    yearly, paused = await app.schedules.get("yearly"), await app.schedules.get("paused")

    names = [f"schedule_{one}_timestamp_seconds" for one in ("next_run", "last_run")]
    assert yearly.next_run is not None
    assert paused.last_run is not None
    assert scraped(app, *names) == {
        (names[0], "yearly"): yearly.next_run.timestamp(),
        (names[1], "paused"): paused.last_run.timestamp(),
    }


async def test_redis_tells_how_it_fares(app: App) -> None:
    told = scraped(app)

    (info,) = [key for key in told if key[0] == "redis_info"]
    assert {"master", "noeviction"} < set(info)
    assert told["redis_up",] == 1
    assert told["redis_memory_used_bytes",] > 0
    assert (told["redis_memory_max_bytes",], told["redis_evicted_keys_total",]) == (0, 0)
    assert told["exporter_errors_total",] == 0


def test_without_redis_that_alone_is_told(namespace: str) -> None:
    app = App("redis://127.0.0.1:1/0", namespace=namespace)
    app.store = msgspec.structs.replace(app.store, retry_s=0)

    told = scraped(app)

    assert {key[0] for key in told} == {
        "build_info", "redis_up", "exporter_scrape_seconds", "exporter_errors_total",
    }  # fmt: skip
    assert (told["redis_up",], told["exporter_errors_total",]) == (0, 1)


async def test_too_many_queues_have_no_series_each(
    valkey_app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queues, "MOST_QUEUES", 2)
    for queue in ("a", "b", "c"):
        await valkey_app.remote("work", queue=queue).enqueue()

    assert set(scraped(valkey_app, "queue_paused")) == {
        ("queue_paused", "a"),
        ("queue_paused", "b"),
    }
    assert "3 queues; only the first 2 have metrics" in caplog.text


async def test_promtool_finds_nothing_wrong(valkey_app: App) -> None:
    await valkey_app.remote("work").enqueue()
    await valkey_app.schedules.upsert("s", valkey_app.remote("work").call(), every=60)

    page = generate_latest(registry_of(valkey_app)).decode()
    assert said([tool("promtool"), "check", "metrics"], text=page) == ""


async def test_scrapes_close_together_ask_redis_once(
    valkey_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = queues.server_load

    def counted() -> Any:
        asked.append("load")
        return real()

    monkeypatch.setattr(queues, "server_load", counted)
    registry = registry_of(valkey_app)

    first, second = generate_latest(registry), generate_latest(registry)

    assert (first, asked) == (second, ["load"])
