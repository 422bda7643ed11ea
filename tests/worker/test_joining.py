"""A worker or a scheduler that starts while Redis is away waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from redis import Redis

from rqueue import App, QueueShare, Scheduler, Worker, WorkerConfig
from rqueue.clock import monotonic
from rqueue.errors import StoreUnavailable
from rqueue.store.call import Call
from rqueue.store.keys import queue_keys
from rqueue.store.scripts import REGISTER
from rqueue.worker import joining, pulse
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_S, eventually


def hasty(server: Server) -> App:
    """One that is soon tired of asking the same again."""
    app = App(server.url)
    app.store = msgspec.structs.replace(app.store, retry_s=0.1)
    return app


@asynccontextmanager
async def waiting() -> AsyncGenerator[tuple[Worker, asyncio.Task[bool], Server]]:
    """A worker that runs while its server does not, and has found that out."""
    with Server("valkey9", tcp=True) as server:
        app = hasty(server)
        server.kill()
        worker = Worker(app, WorkerConfig())
        running = asyncio.create_task(worker.run())
        await eventually(lambda: worker.health.ready().startswith("Redis cannot be reached"))
        yield worker, running, server
        await app.close()


async def test_a_worker_that_waits_for_redis_is_not_alive_when_its_loop_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with waiting() as (worker, running, _):
        assert worker.health.live() == ""

        then = monotonic() + 31
        monkeypatch.setattr(pulse, "monotonic", lambda: then)
        assert worker.health.live().startswith("the event loop has not turned for 3")
        await eventually(lambda: worker.health.live() == "")

        worker.stop()
        assert await running


async def test_the_server_is_looked_at_with_each_try_and_its_faults_are_told_once(
    app: App, redis: Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: Any = redis.config_get("maxmemory-policy")
    redis.config_set("maxmemory-policy", "volatile-lru")
    monkeypatch.setattr(joining, "_PAUSE_S", 0.0)
    worker = Worker(app, WorkerConfig())
    join, tries = worker._membership.join_all, ["away", "away"]

    async def losing() -> None:
        if tries:
            tries.pop()
            raise StoreUnavailable
        await join()

    monkeypatch.setattr(worker._joining, "_join", losing)
    try:
        with caplog.at_level("WARNING"):
            running = asyncio.create_task(worker.run())
            async with asyncio.timeout(PATIENCE_S):
                await worker.ready.wait()
            worker.stop()
            assert await running
    finally:
        redis.config_set("maxmemory-policy", before["maxmemory-policy"])
    told = [one.getMessage() for one in caplog.records if "volatile-lru" in one.getMessage()]
    assert (tries, len(told)) == ([], 1)


async def test_a_worker_that_starts_without_redis_joins_when_it_is_there() -> None:
    async with waiting() as (worker, running, server):
        assert (worker.health.live(), worker.health.started()) == ("", "")
        assert not worker.ready.is_set()

        server.restart()

        async with asyncio.timeout(PATIENCE_S):
            await worker.ready.wait()
        await eventually(lambda: worker.health.ready() == "")
        worker.stop()
        assert await running


async def test_a_worker_that_waits_for_redis_ends_at_once_when_it_is_told_to() -> None:
    with Server("valkey9", tcp=True) as server:
        app = App(server.url)  # it asks for ten seconds before it says that Redis is away
        server.kill()
        worker = Worker(app, WorkerConfig())
        running = asyncio.create_task(worker.run())
        await eventually(lambda: worker.health.started() == "")

        worker.stop()

        async with asyncio.timeout(5):
            assert await running
        await app.close()


async def test_a_worker_that_is_told_to_stop_before_it_has_begun_ends() -> None:
    with Server("valkey9", tcp=True) as server:
        app = App(server.url)
        server.kill()
        worker = Worker(app, WorkerConfig())
        worker.stop()

        async with asyncio.timeout(5):
            assert await worker.run()
        await app.close()


async def test_a_worker_that_is_cancelled_while_it_waits_leaves_nothing_behind() -> None:
    async with waiting() as (_, running, _):
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        assert {task.get_name() for task in asyncio.all_tasks()} & {
            "rqueue-join",
            "rqueue-told",
            "rqueue-tick",
        } == set()


async def test_a_burst_does_not_wait_for_redis() -> None:
    with Server("valkey9", tcp=True) as server:
        app = hasty(server)
        server.kill()

        with pytest.raises(StoreUnavailable):
            await Worker(app, WorkerConfig(burst=True)).run()
        await app.close()


async def test_a_scheduler_that_starts_without_redis_serves_when_it_is_there() -> None:
    with Server("valkey9", tcp=True) as server:
        app = hasty(server)
        server.kill()
        scheduler = Scheduler(app)
        running = asyncio.create_task(scheduler.run())
        await eventually(lambda: scheduler.health.started() == "")
        assert (scheduler.health.live(), scheduler.health.ready()) == (
            "",
            "it does not serve its queues yet",
        )

        server.restart()

        await eventually(lambda: scheduler.health.ready() == "")
        scheduler.stop()
        await running
        await app.close()


async def test_a_scheduler_that_waits_for_redis_ends_at_once_when_it_is_told_to() -> None:
    with Server("valkey9", tcp=True) as server:
        app = App(server.url)  # it asks for ten seconds before it says that Redis is away
        server.kill()
        scheduler = Scheduler(app)
        running = asyncio.create_task(scheduler.run())
        await eventually(lambda: scheduler.health.started() == "")

        scheduler.stop()

        async with asyncio.timeout(5):
            await running
        await app.close()


async def test_a_worker_that_loses_redis_half_way_goes_on_there(
    app: App, namespace: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(app, WorkerConfig(queues=(QueueShare("a"), QueueShare("b"))))
    send, failures = worker._transport.send, ["register", "ask who is there"]

    async def losing(call: Call[Any], *more: Any) -> Any:
        is_register = call.script is REGISTER and queue_keys(namespace, "b").leases in call.keys
        if failures and (is_register or len(failures) == 1):
            failures.pop()
            raise StoreUnavailable
        return await send(call, *more)

    monkeypatch.setattr(worker._transport, "send", losing)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(PATIENCE_S):
        await worker.ready.wait()

    standing: dict[str, set[Any]] = {
        name: set(redis.zrange(queue_keys(namespace, name).leases, 0, -1)) for name in ("a", "b")
    }
    assert [len(names) for names in standing.values()] == [1, 1]
    assert set(worker.worker_ids) == {
        name.decode() for names in standing.values() for name in names
    }
    assert set(await app.workers.list()) == set(worker.worker_ids)
    worker.stop()
    assert await running
    assert await app.workers.list() == {}
