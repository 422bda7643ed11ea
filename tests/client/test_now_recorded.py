"""task.now with a record: what ran here looks like any job afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from rqueue import Discard
from rqueue.app import App
from rqueue.codec import decode
from rqueue.errors import Conflict, JobCancelled, JobFailed
from rqueue.store.keys import QueueKeys
from tests.support.queue_state import read_state


@pytest.fixture
def task(app: App) -> Any:
    @app.task
    async def task(how: str) -> str:
        if how == "fail":
            raise LookupError(how)
        if how == "discard":
            raise Discard("gone")
        return how

    return task


async def test_without_the_option_redis_is_not_asked(namespace: str) -> None:
    app = App("redis://nowhere.invalid", namespace=namespace)

    @app.task
    async def task() -> int:
        return 1

    assert await task.now() == 1


async def test_a_call_that_succeeded_leaves_its_result(
    app: App, task: Any, redis: Redis, namespace: str
) -> None:
    assert await task.options(record=True, job_id="x").now("ok") == "ok"

    info = await app.job("x").info()
    assert (info.state, info.task, info.attempts, info.worker) == ("succeeded", "task", 1, "here")
    assert decode(info.result or b"") == "ok"
    assert await app.job("x").result(0) == "ok"
    state = read_state(redis, QueueKeys(namespace, "default"))
    assert (state.lanes, state.schedule, state.meta) == ({}, {}, {"record": "1"})
    assert state.records["x"]["ttl"] == "3600"


async def test_a_call_that_failed_rests_in_the_dead_set_and_can_run_again(
    app: App, task: Any
) -> None:
    with pytest.raises(JobFailed):
        await task.options(record=True, job_id="x", priority="high").now("fail")

    (dead,) = await app.inspector.dead("default")
    assert (dead.id, dead.reason, dead.task, dead.priority) == ("x", "failed", "task", "high")
    assert [one.type for one in dead.errors] == ["LookupError"]
    assert (await app.inspector.requeue("default")).count == 1
    assert (await app.job("x").info()).state == "queued"


async def test_a_call_that_was_discarded_leaves_its_reason(app: App, task: Any) -> None:
    with pytest.raises(JobCancelled):
        await task.options(record=True, job_id="x").now("discard")

    info = await app.job("x").info()
    assert (info.state, info.reason) == ("cancelled", "gone")


async def test_an_id_that_is_taken_is_a_conflict(app: App, task: Any) -> None:
    await task.options(job_id="x").enqueue("queued")

    with pytest.raises(Conflict):
        await task.options(record=True, job_id="x").now("ok")
    assert (await app.job("x").info()).state == "queued"


async def test_the_queue_of_a_recorded_call_is_known(app: App, task: Any) -> None:
    await task.options(record=True, queue="mail").now("ok")

    assert [one.name for one in await app.inspector.queues()] == ["mail"]
