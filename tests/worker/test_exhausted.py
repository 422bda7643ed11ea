"""A stream that takes no more entries: nobody spins, nothing is lost, all else goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis

from rqueue import Retry
from rqueue.app import App
from rqueue.errors import StreamExhausted
from rqueue.events import JobFinished
from rqueue.job import JobState
from rqueue.store.keys import QueueKeys, queue_keys
from rqueue.store.scripts import DUE
from rqueue.store.transport import AsyncTransport
from rqueue.worker.promoter import Promoter
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import scheduling, working

HIGHEST = "18446744073709551615-18446744073709551615"


@pytest.fixture
def keys(namespace: str) -> QueueKeys:
    return queue_keys(namespace, "default")


def exhaust(redis: Redis, stream: str) -> None:
    """As a stranger may."""
    redis.execute_command("XADD", stream, HIGHEST, "m", "nonsense")


async def test_producers_are_told_which_stream_and_what_to_do(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    @app.task
    async def answer() -> int:
        return 42

    exhaust(redis, keys.stream("normal"))

    told = r"stream:normal' takes no more.*highest id.*delete it"
    with pytest.raises(StreamExhausted, match=told):
        await answer.enqueue()
    with pytest.raises(StreamExhausted, match=told):
        answer.enqueue_sync()


async def test_the_promoter_goes_on_behind_jobs_that_are_stuck_and_does_not_spin(
    app: App, redis: Redis, keys: QueueKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.task
    async def answer() -> int:
        return 42

    await app.enqueue_many(answer.options(delay=0.001).call() for _ in range(300))
    other = await answer.options(delay=0.002, priority="high").enqueue()
    exhaust(redis, keys.stream("normal"))
    promoter = Promoter(app.connections.here().transport, keys, app.observers)
    send, looks = AsyncTransport.send, list[Any]()

    async def counting(transport: AsyncTransport, call: Any, *args: Any) -> Any:
        looks.extend([call] if call.script is DUE else [])
        return await send(transport, call, *args)

    await eventually(lambda: redis.zcount(keys.schedule, 0, redis.time()[0] * 1000) == 301)
    monkeypatch.setattr(AsyncTransport, "send", counting)
    slept = [await promoter.run_once() for _ in range(5)]  # of 50, 50, 100, 100 and 1

    assert slept == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert len(looks) == 1
    assert (await other.info()).state == JobState.QUEUED
    assert redis.zcard(keys.schedule) == 300


async def test_jobs_go_on_when_the_stream_was_repaired(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    """Drained by the workers, deleted by an operator, made anew by the workers."""

    @app.task(retry=Retry(max_attempts=2, base=0.001))
    async def flaky() -> int:
        if not seen:
            seen.append(1)
            exhaust(redis, keys.stream("normal"))
            raise ValueError
        return 42

    seen: list[int] = []
    ears = Ears(app)
    async with working(app), scheduling(app):
        job = await flaky.enqueue()
        # The stranger's entry is no envelope: it dies as any other.
        await ears.hears(JobFinished, ending="bury", status="recorded")
        await ears.hears(JobFinished, ending="retry", status="recorded")
        assert redis.xlen(keys.stream("normal")) == 0
        redis.delete(keys.stream("normal"))

        assert await job.result(PATIENCE_S) == 42


async def test_a_worker_stops_though_a_job_cannot_be_released(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    seen: list[int] = []

    @app.task
    async def hang_once() -> int:
        seen.append(1)
        if len(seen) == 1:
            await asyncio.Event().wait()
        return 42

    exhaust(redis, keys.stream("released"))
    redis.xdel(keys.stream("released"), HIGHEST)
    ears = Ears(app)
    async with working(app):
        job = await hang_once.enqueue()
        await eventually(lambda: seen)

    assert [one.status for one in ears.of(JobFinished, ending="release")] == ["corrupt"]
    async with working(app):
        assert await job.result(PATIENCE_S) == 42
