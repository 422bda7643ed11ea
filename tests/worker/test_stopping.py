"""Stopping a worker: what it began may end, the rest goes back uncharged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import Redis

from rqueue import Context, Retry, Worker, WorkerConfig
from rqueue.app import App
from rqueue.errors import StoreUnavailable
from rqueue.events import JobFinished, JobStarted
from rqueue.job import JobState
from rqueue.store.keys import QueueKeys
from rqueue.store.scripts import FETCH
from rqueue.worker import winding
from tests.support.queue_state import QueueState, read_state
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import SHORT, burst, working


class Slow:
    """A task that waits, and counts its runs."""

    def __init__(self, app: App) -> None:
        self.runs: list[tuple[int, int]] = []
        self.inside, self.go = asyncio.Event(), asyncio.Event()

        @app.task
        async def slow(ctx: Context) -> str:
            self.runs.append((ctx.attempt, ctx.fencing_token))
            self.inside.set()
            await self.go.wait()
            return ctx.worker

        self.task = slow


@pytest.fixture
def slow(app: App) -> Slow:
    return Slow(app)


class Resources:
    """What a lifespan opens."""

    greeting = "hello"


async def start(app: App, **config: Any) -> tuple[Worker, asyncio.Task[bool]]:
    worker = Worker(app, WorkerConfig(**{"lease": SHORT, "concurrency": 10, **config}))
    running = asyncio.create_task(worker.run())
    await worker.ready.wait()
    return worker, running


async def ended(running: asyncio.Task[bool]) -> bool:
    async with asyncio.timeout(PATIENCE_S):
        return await running


async def test_a_job_that_ends_within_grace_is_recorded(app: App, slow: Slow) -> None:
    worker, running = await start(app, grace_s=PATIENCE_S)
    job = await slow.task.enqueue()
    await slow.inside.wait()

    worker.stop()
    later = await slow.task.enqueue()
    slow.go.set()

    assert await ended(running) is True
    assert await job.wait(0) == JobState.SUCCEEDED
    assert (await later.info()).state == JobState.QUEUED


async def test_a_job_that_does_not_end_within_grace_goes_back_uncharged_and_runs_elsewhere(
    app: App, slow: Slow
) -> None:
    worker, running = await start(app, grace_s=0.05)
    job = await slow.task.enqueue()
    await slow.inside.wait()

    worker.stop()

    assert await ended(running) is False
    info = await job.info()
    assert (info.state, info.attempts, info.crashes, info.errors) == ("queued", 0, 0, ())
    slow.go.set()
    await burst(app)
    assert await job.wait(0) == JobState.SUCCEEDED
    assert slow.runs == [(1, 1), (1, 2)]


async def test_a_second_stop_gives_everything_back_at_once(app: App, slow: Slow) -> None:
    worker, running = await start(app, grace_s=3600)
    jobs = [await slow.task.enqueue() for _ in range(3)]
    await eventually(lambda: len(slow.runs) == 3)

    worker.stop()
    began = time.monotonic()
    worker.stop()

    assert await ended(running) is False
    assert time.monotonic() - began < 2
    assert [(await job.info()).state for job in jobs] == ["queued"] * 3


async def test_a_released_job_is_taken_before_all_others(app: App, slow: Slow) -> None:
    worker, running = await start(app, grace_s=0)
    first = await slow.task.options(priority="low").enqueue()
    await slow.inside.wait()
    worker.stop()
    await ended(running)
    ears = Ears(app)
    slow.go.set()
    await slow.task.options(priority="critical").enqueue()

    await burst(app, concurrency=1)

    assert ears.of(JobStarted)[0].job_id == first.id
    assert (await first.info()).state == JobState.SUCCEEDED


async def test_a_released_job_keeps_its_priority_and_its_attempts(app: App, slow: Slow) -> None:
    worker, running = await start(app, grace_s=0)
    job = await slow.task.options(priority="low", unique="u").enqueue()
    await slow.inside.wait()
    worker.stop()
    await ended(running)

    info = await job.info()

    assert (info.state, info.priority, info.attempts, info.unique) == ("queued", "low", 0, "u")


async def test_a_thread_that_goes_on_does_not_hold_up_the_end_for_ever(app: App) -> None:
    inside, go = threading.Event(), threading.Event()

    @app.task
    def deaf() -> None:
        inside.set()
        go.wait(PATIENCE_S)

    worker, running = await start(app, grace_s=0)
    job = await deaf.enqueue()
    await asyncio.to_thread(inside.wait, PATIENCE_S)

    worker.stop()

    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            assert await ended(running) is False
    finally:
        go.set()
    assert (await job.info()).state in ("queued", "running")


async def test_a_worker_that_left_leaves_nothing_behind(
    app: App, slow: Slow, redis: Redis, namespace: str
) -> None:
    slow.go.set()
    job = await slow.task.enqueue()
    async with working(app) as worker:
        await job.wait(PATIENCE_S)
        (me,) = worker.worker_ids
        assert list(await app.workers.list()) == [me]
        assert list(read_state(redis, QueueKeys(namespace, "default")).leases) == [me]

    state = read_state(redis, QueueKeys(namespace, "default"))
    assert (state.leases, state.lanes, state.waiters, state.cancels) == ({}, {}, {}, {})
    assert set(map(tuple, state.groups.values())) == {()}
    assert await app.workers.list() == {}
    assert state != QueueState()


async def test_a_worker_stops_at_once_when_it_has_nothing_to_do(app: App) -> None:
    worker, running = await start(app, grace_s=3600)
    began = time.monotonic()

    worker.stop()

    assert await ended(running) is True
    assert time.monotonic() - began < 1.5


async def test_the_lifespan_opens_before_the_first_job_and_closes_after_the_last(
    url: str, namespace: str
) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[Resources]:
        seen.append("open")
        yield Resources()
        seen.append("closed")

    app = App(url, namespace=namespace, lifespan=lifespan)

    @app.task
    async def greet(ctx: Context[Resources], name: str) -> str:
        seen.append("async")
        return f"{ctx.state.greeting} {name}"

    @app.task
    def greet_in_thread(ctx: Context[Resources], name: str) -> str:
        seen.append("thread")
        return f"{ctx.state.greeting} {name}"

    jobs = [await greet.enqueue("a"), await greet_in_thread.enqueue("b")]
    await burst(app, concurrency=1)

    assert [await job.result(0) for job in jobs] == ["hello a", "hello b"]
    assert seen == ["open", "async", "thread", "closed"]
    await app.close()


async def test_a_lifespan_that_fails_starts_no_worker(url: str, namespace: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        raise ConnectionError("no database")
        yield

    app = App(url, namespace=namespace, lifespan=lifespan)

    with pytest.raises(ConnectionError, match="no database"):
        await burst(app)
    assert await app.workers.list() == {}
    await app.close()


async def test_a_worker_whose_redis_is_not_there_says_so(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.store.transport.pauses", lambda *_: iter(()))

    with pytest.raises(StoreUnavailable):
        await burst(App("redis://127.0.0.1:1", namespace=namespace))


async def test_what_was_not_started_in_time_never_starts(app: App, slow: Slow) -> None:
    ears = Ears(app)
    slow.go.set()
    jobs = [await slow.task.options(expires=seconds).enqueue() for seconds in (0, 3600)]

    await burst(app)

    assert [await job.wait(0) for job in jobs] == ["expired", "succeeded"]
    assert [one.job_id for one in ears.of(JobStarted)] == [jobs[1].id]
    assert {one.ending for one in ears.of(JobFinished)} == {"expire", "complete"}


async def test_a_handler_that_raises_on_its_way_out_is_not_charged(app: App) -> None:
    inside = asyncio.Event()

    @app.task(retry=Retry(max_attempts=1))
    async def untidy() -> None:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("while tidying up")

    async with working(app, grace_s=0):
        job = await untidy.enqueue()
        await inside.wait()

    info = await job.info()
    assert (info.state, info.attempts, info.errors) == ("queued", 0, ())


async def test_a_worker_that_is_cancelled_gives_back_what_it_runs(app: App) -> None:
    inside = asyncio.Event()

    @app.task
    async def stay() -> None:
        inside.set()
        await asyncio.Event().wait()

    worker = Worker(app, WorkerConfig(lease=SHORT))
    running = asyncio.create_task(worker.run())
    job = await stay.enqueue()
    await inside.wait()

    running.cancel()
    await asyncio.wait({running})

    info = await job.info()
    assert running.cancelled()
    assert (info.state, info.attempts, info.crashes) == ("queued", 0, 0)


async def test_a_worker_that_is_cancelled_while_it_reads_gives_back_what_it_gets(
    app: App, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [await slow.task.enqueue() for _ in range(5)]
    worker = Worker(app, WorkerConfig(lease=SHORT))
    send, read, cancelled = worker._transport.send, asyncio.Event(), asyncio.Event()

    async def holding(call: Any, *args: Any) -> Any:
        answer = await send(call, *args)
        if call.script is FETCH and answer.deliveries:
            read.set()
            await cancelled.wait()
            await asyncio.sleep(0)
        return answer

    monkeypatch.setattr(worker._transport, "send", holding)
    running = asyncio.create_task(worker.run())
    await read.wait()
    running.cancel()
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.1, cancelled.set)
    await asyncio.wait({running})

    infos = [await job.info() for job in jobs]
    assert [(one.state, one.crashes) for one in infos] == [("queued", 0)] * 5
    assert slow.runs == []


async def test_a_worker_that_is_cancelled_while_it_ends_still_leaves_nothing(
    app: App, redis: Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, running = await start(app)
    stop, ending, cancelled = worker._heartbeat.stop, threading.Event(), threading.Event()

    def stopping() -> None:
        ending.set()
        assert cancelled.wait(PATIENCE_S)
        stop()

    monkeypatch.setattr(worker._heartbeat, "stop", stopping)
    worker.stop()
    await eventually(ending.is_set)
    running.cancel()
    await asyncio.sleep(0)
    cancelled.set()
    await asyncio.wait({running})

    assert running.cancelled()
    assert not worker._heartbeat._thread.is_alive()
    state = read_state(redis, QueueKeys(namespace, "default"))
    assert (state.leases, [one for one in state.groups.values() if one]) == ({}, [])


async def test_a_worker_that_is_cancelled_within_its_grace_leaves_no_task(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asyncio.all_tasks()
    worker, running = await start(app)
    within_grace = asyncio.Event()

    async def endless(*_: object) -> None:
        within_grace.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(winding, "_all_ended", endless)
    worker.stop()
    await within_grace.wait()
    running.cancel()
    await asyncio.wait({running})

    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_a_worker_that_is_cancelled_at_its_last_read_leaves_no_task(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asyncio.all_tasks()
    worker = Worker(app, WorkerConfig(lease=SHORT))
    at_the_end = asyncio.Event()

    async def reading() -> None:
        await asyncio.Event().wait()

    async def finished(*_: object) -> bool:
        asyncio.get_running_loop().call_soon(at_the_end.set)  # by then the last read is waited for
        return True

    monkeypatch.setattr(worker._fetcher, "run", reading)
    monkeypatch.setattr("rqueue.worker.worker.wind_up", finished)
    running = asyncio.create_task(worker.run())
    await worker.ready.wait()
    worker.stop()
    await at_the_end.wait()
    running.cancel()
    await asyncio.wait({running})

    await eventually(lambda: asyncio.all_tasks() <= before)
