"""A job from outside: what is told of it in each state, and how it is cancelled."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from rqueue import Fail
from rqueue.app import App
from rqueue.codec import decode
from rqueue.errors import CorruptKey
from rqueue.job import JobInfo, JobState
from rqueue.retry import Retry
from rqueue.store.keys import QueueKeys
from tests.support.queue_state import QueueState, read_state
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import burst, working

RECENT = timedelta(seconds=60)


def plain(info: JobInfo) -> dict[str, Any]:
    """What is told, without times and bytes."""
    names = ("state", "task", "priority", "attempts", "crashes", "reason", "unique")
    return {name: getattr(info, name) for name in names if getattr(info, name)}


@pytest.fixture
def keys(namespace: str) -> QueueKeys:
    return QueueKeys(namespace, "default")


@pytest.fixture
def add(app: App) -> Any:
    @app.task(retry=Retry(max_attempts=2, base=0))
    async def add(a: int) -> int:
        if a < 0:
            raise ValueError(a)
        return a

    return add


async def test_a_queued_job(add: Any) -> None:
    job = await add.options(priority="high", unique="u").enqueue(1)

    info = await job.info()

    assert plain(info) == {"state": "queued", "task": "add", "priority": "high", "unique": "u"}
    assert info == job.info_sync()
    assert info.created_at is not None
    assert datetime.now(UTC) - info.created_at < RECENT
    assert (info.due_at, info.started_at, info.finished_at, info.result) == (None,) * 4
    assert (info.errors, info.worker, info.cancel_requested) == ((), "", False)


async def test_a_scheduled_job(add: Any) -> None:
    moment = datetime(2040, 1, 1, 12, tzinfo=UTC)

    info = await (await add.options(run_at=moment, priority="low").enqueue(1)).info()

    assert plain(info) == {"state": "scheduled", "task": "add", "priority": "low"}
    assert info.due_at == moment


async def test_a_running_job(app: App) -> None:
    go = asyncio.Event()

    @app.task
    async def wait() -> None:
        await go.wait()

    async with working(app) as worker:
        job = await wait.enqueue()

        async def running() -> JobInfo | None:
            told = await job.info()
            return told if told.state == JobState.RUNNING else None

        info = await eventually(running)
        go.set()
        await job.wait(PATIENCE_S)

    assert info is not None
    assert plain(info) == {"state": "running", "task": "wait", "priority": "normal"}
    assert info.worker in worker.worker_ids


async def test_a_succeeded_job(app: App, add: Any) -> None:
    job = await add.enqueue(7)
    await burst(app)

    info = await job.info()

    assert plain(info) == {"state": "succeeded", "task": "add", "attempts": 1}
    assert info.result is not None
    assert (decode(info.result), info.envelope, info.errors) == (7, None, ())
    assert info.created_at is not None
    assert info.started_at is not None
    assert info.finished_at is not None
    # The worker's clock is this machine's, and so is Redis' here; both in whole milliseconds.
    tick = timedelta(milliseconds=1)
    assert info.created_at <= info.started_at + tick
    assert info.started_at <= info.finished_at + tick
    assert info.worker


async def test_a_dead_job(app: App, add: Any) -> None:
    @app.task
    async def give_up() -> None:
        raise Fail("no such user")

    job = await give_up.options(priority="critical").enqueue()
    await burst(app)

    info = await job.info()

    assert plain(info) == {
        "state": "dead",
        "task": "give_up",
        "priority": "critical",
        "attempts": 1,
        "reason": "fail",
    }
    assert info.envelope is not None
    assert [(one.attempt, one.type, one.message) for one in info.errors] == [
        (1, "rqueue.outcome.Fail", "no such user")
    ]


async def test_a_retrying_job(app: App) -> None:
    @app.task(retry=Retry(max_attempts=3, base=600, cap=600))
    async def later() -> None:
        raise ValueError("not yet")

    job = await later.enqueue()
    await burst(app)

    info = await job.info()

    assert plain(info) == {
        "state": "retrying",
        "task": "later",
        "priority": "normal",
        "attempts": 1,
    }
    assert info.due_at is not None
    assert [one.message for one in info.errors] == ["not yet"]


async def test_a_job_is_found_by_its_id_alone(app: App, add: Any) -> None:
    job = await add.options(queue="mail").enqueue(1)

    found = await app.inspector.find(job.id)

    assert found is not None
    assert (found.id, found.queue) == (job.id, "mail")
    assert await app.inspector.find("nobody") is None
    assert app.inspector_sync.find(job.id) == found


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("options", [{}, {"delay": 60}, {"unique": "u"}])
async def test_a_job_that_waits_is_cancelled_at_once(
    add: Any, redis: Redis, keys: QueueKeys, options: Any, blocking: bool
) -> None:
    job = await add.options(**options).enqueue(1)

    answer = job.cancel_sync("stop") if blocking else await job.cancel("stop")

    info, state = await job.info(), read_state(redis, keys)
    assert (answer, info.state, info.reason) == ("cancelled", JobState.CANCELLED, "stop")
    assert (state.lanes, state.schedule, state.unique, state.cancels) == ({}, {}, {}, {})


async def test_a_job_is_cancelled_once(add: Any) -> None:
    job = await add.enqueue(1)

    assert [await job.cancel("first"), await job.cancel("second")] == ["cancelled", "cancelled"]
    assert (await job.info()).reason == "first"


@pytest.mark.parametrize(("argument", "state"), [(1, "succeeded"), (-1, "dead")])
async def test_a_job_that_ended_stays_as_it_ended(app: App, argument: int, state: str) -> None:
    @app.task(retry=Retry(max_attempts=1))
    async def end(a: int) -> int:
        if a < 0:
            raise ValueError(a)
        return a

    job = await end.enqueue(argument)
    await burst(app)
    before = await job.info()

    assert await job.cancel("too late") == state
    assert await job.info() == before


@pytest.mark.parametrize("reason", ["\ud800", "x" * 100_000, "a\nb\0"])
async def test_a_reason_may_be_any_text(add: Any, reason: str) -> None:
    jobs = [await add.enqueue(n) for n in range(2)]

    await jobs[0].cancel(reason)
    jobs[1].cancel_sync(reason)

    for job in jobs:
        info = await job.info()
        assert info.state == JobState.CANCELLED
        assert info.reason == reason[:4096].replace("\ud800", "?")


@pytest.mark.parametrize("suffix", ["waiters", "cancels", "schedule", "meta"])
async def test_a_key_of_another_type_is_an_alarm_when_cancelling(
    add: Any, redis: Redis, keys: QueueKeys, suffix: str
) -> None:
    job = await add.enqueue(1)
    redis.delete(keys.meta)
    redis.set(keys.meta.removesuffix("meta") + suffix, "not ours")
    before = read_state(redis, keys)

    with pytest.raises(CorruptKey):
        await job.cancel()

    assert read_state(redis, keys) == before != QueueState()


async def test_a_record_of_another_type_is_an_alarm_for_who_waits(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    redis.set(keys.job("x"), "not ours")

    for asked in (app.job("x").result(1), app.job("x").wait(1), app.job("x").cancel()):
        with pytest.raises(CorruptKey):
            await asked
