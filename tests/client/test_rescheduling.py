"""A job that waits is given another time, or runs now."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.errors import ConfigError, JobNotFound
from rqueue.job import JobState
from rqueue.retry import Retry
from rqueue.store.keys import QueueKeys
from tests.support.queue_state import read_state
from tests.support.waiting import PATIENCE_S
from tests.support.working import burst, scheduling, working

MOMENT = datetime(2040, 1, 1, 12, tzinfo=UTC)
BOTH_FACES = pytest.mark.parametrize("blocking", [True, False])


@pytest.fixture
def add(app: App) -> Any:
    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    return add


@BOTH_FACES
@pytest.mark.parametrize("options", [{}, {"delay": 60}])
async def test_a_job_that_waits_is_due_at_another_time(
    add: Any, options: Any, blocking: bool
) -> None:
    job = await add.options(**options).enqueue(1, 2)

    said = job.reschedule_sync(run_at=MOMENT) if blocking else await job.reschedule(run_at=MOMENT)

    info = await job.info()
    assert (said, info.state, info.due_at) == ("rescheduled", JobState.SCHEDULED, MOMENT)


@pytest.mark.parametrize("delay", [60, timedelta(minutes=1)])
async def test_a_delay_counts_from_now(add: Any, delay: Any) -> None:
    job = await add.options(run_at=MOMENT).enqueue(1, 2)
    before = datetime.now(UTC)

    assert await job.reschedule(delay=delay) == "rescheduled"

    due = (await job.info()).due_at
    assert due is not None
    tick = timedelta(milliseconds=1)  # times in Redis are whole milliseconds
    assert before - tick <= due - timedelta(minutes=1) <= datetime.now(UTC) + tick


@BOTH_FACES
async def test_a_job_that_waits_for_its_time_runs_now(app: App, add: Any, blocking: bool) -> None:
    job = await add.options(delay=3600).enqueue(1, 2)

    assert (job.promote_sync() if blocking else await job.promote()) == "queued"

    await burst(app)
    assert await job.result(0) == 3
    assert await job.promote() == "succeeded"


async def test_the_past_is_now(add: Any) -> None:
    job = await add.options(delay=3600).enqueue(1, 2)

    assert await job.reschedule(run_at=datetime(2000, 1, 1, tzinfo=UTC)) == "queued"


async def test_a_failed_job_need_not_wait_for_its_next_attempt(app: App) -> None:
    @app.task(retry=Retry(max_attempts=2, base=600, cap=600))
    async def later() -> None:
        raise ValueError("not yet")

    job = await later.enqueue()
    await burst(app)

    assert await job.promote() == "queued"

    await burst(app)
    info = await job.info()
    assert (info.state, info.attempts, len(info.errors)) == (JobState.DEAD, 2, 2)


async def test_a_job_that_runs_is_left_alone(app: App) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    @app.task
    async def wait() -> int:
        begun.set()
        await go.wait()
        return 7

    async with working(app):
        job = await wait.enqueue()
        await asyncio.wait_for(begun.wait(), PATIENCE_S)

        assert await job.reschedule(delay=60) == "running"

        go.set()
        assert await job.result(PATIENCE_S) == 7


async def test_an_idle_scheduler_is_woken_for_a_job_that_was_pulled_forward(
    app: App, add: Any
) -> None:
    async with working(app), scheduling(app):
        job = await add.options(delay=3600).enqueue(1, 2)

        assert await job.reschedule(delay=0.05) == "rescheduled"

        assert await job.result(PATIENCE_S) == 3


async def test_nobodys_job_is_not_found(app: App) -> None:
    with pytest.raises(JobNotFound):
        await app.job("nobody").reschedule(delay=1)
    with pytest.raises(JobNotFound):
        app.job("nobody").promote_sync()


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"delay": 1, "run_at": MOMENT},
        {"delay": -1},
        {"delay": float("nan")},
        {"delay": True},
        {"run_at": datetime(2040, 1, 1)},  # noqa: DTZ001 - what must be refused
    ],
)
async def test_what_names_no_time_is_refused(
    add: Any, redis: Redis, namespace: str, when: Any
) -> None:
    job = await add.options(delay=60).enqueue(1, 2)
    keys = QueueKeys(namespace, "default")
    before = read_state(redis, keys)

    with pytest.raises(ConfigError):
        await job.reschedule(**when)

    assert read_state(redis, keys) == before
