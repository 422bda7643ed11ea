"""What bounds a job in time: `expires`, `Retry(until=...)` and `deadline`, by a real worker."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from rqueue import Context, JobInfo, Retry, RetryAfter, Snooze
from rqueue.app import App
from rqueue.clock import now_ms
from rqueue.errors import AttemptTimeout, JobFailed
from rqueue.events import JobStarted
from rqueue.handle import Job
from tests.support.waiting import PATIENCE_S, Ears
from tests.support.working import burst, working

AT_ONCE = Retry(max_attempts=5, base=0)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the clock by which workers judge lateness so many seconds ahead."""

    def set_ahead(seconds: float) -> None:
        monkeypatch.setattr("rqueue.worker.lateness.now_ms", lambda: now_ms() + seconds * 1000)

    return set_ahead


async def again(app: App, job: Job[Any]) -> JobInfo:
    """What is told of a job after it was made ready and a worker has seen it."""
    assert await job.promote() == "queued"
    await burst(app)
    return await job.info()


def plain(info: JobInfo) -> tuple[str, str, int]:
    return info.state, info.reason, info.attempts


def history(info: JobInfo) -> list[tuple[int, str]]:
    return [(one.attempt, one.type.rpartition(".")[2]) for one in info.errors]


@pytest.fixture
def failing(app: App) -> Any:
    @app.task(retry=AT_ONCE)
    async def failing() -> None:
        raise ValueError("no")

    return failing


async def test_expires_judges_every_start_also_that_of_a_retry(
    app: App, failing: Any, later: Any
) -> None:
    job = await failing.options(expires="1m", delay="1h").enqueue()
    assert (await again(app, job)).state == "retrying"
    later(61)

    info = await again(app, job)

    assert plain(info) == ("expired", "", 1)
    assert history(info) == [(1, "ValueError")]


async def test_no_attempt_begins_when_it_is_too_late_for_retries(
    app: App, failing: Any, later: Any
) -> None:
    """Also if it was planned in time: its wait may have been long, or the queue."""
    ears = Ears(app)
    job = await failing.options(retry=Retry(base=0, until=60), delay="1h").enqueue()
    assert (await again(app, job)).state == "retrying"
    later(61)

    info = await again(app, job)

    assert plain(info) == ("dead", "too_late", 1)
    assert history(info) == [(1, "ValueError"), (2, "RetryTooLate")]
    assert "its policy has until=60" in info.errors[1].message
    assert len(ears.of(JobStarted)) == 1


async def test_the_first_attempt_begins_however_late_it_is_for_retries(
    app: App, failing: Any, later: Any
) -> None:
    job = await failing.options(retry=Retry(base=0, until=60)).enqueue()
    later(3600)

    await burst(app)

    info = await job.info()
    assert (plain(info), history(info)) == (("dead", "too_late", 1), [(1, "ValueError")])


async def test_a_dead_job_that_gets_a_new_life_begins_however_late_it_is_for_retries(
    app: App, failing: Any, later: Any
) -> None:
    job = await failing.options(retry=Retry(base=0, until=60)).enqueue()
    later(3600)
    await burst(app)
    await app.inspector.requeue("default", [job.id])

    await burst(app)

    assert history(await job.info()) == [(1, "ValueError"), (1, "ValueError")]


@pytest.mark.parametrize("isolation", ["loop", "thread"])
async def test_an_attempt_ends_at_the_deadline_and_there_is_no_other(
    app: App, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    def wait_in_thread(ctx: Context) -> None:
        asked = threading.Event()
        while not ctx.cancelled:
            asked.wait(0.01)

    fn: Any = wait if isolation == "loop" else wait_in_thread
    task = app.task(retry=AT_ONCE, timeout=600)(fn)
    moment = datetime(2040, 1, 1, tzinfo=UTC)
    job = await task.options(deadline=moment).enqueue()
    last_ms = int(moment.timestamp() * 1000) - 50
    monkeypatch.setattr("rqueue.worker.lateness.now_ms", lambda: last_ms)

    async with working(app):
        assert await job.wait(PATIENCE_S) == "dead"

    info = await job.info()
    assert (plain(info), history(info)) == (("dead", "deadline", 1), [(1, "AttemptTimeout")])
    with pytest.raises(JobFailed, match="the job's deadline had come"):
        await job.result(0)


async def test_a_timeout_before_the_deadline_is_a_failure_like_any_other(app: App) -> None:
    @app.task(retry=Retry(max_attempts=2, base=0, never=(AttemptTimeout,)), timeout=0.05)
    async def slow() -> None:
        await asyncio.Event().wait()

    job = await slow.options(deadline="1h").enqueue()

    await burst(app)

    info = await job.info()
    assert plain(info) == ("dead", "failed", 1)
    assert "longer than its timeout of 0.05 s" in info.errors[0].message


@pytest.mark.parametrize("signal", [RetryAfter, Snooze])
async def test_what_would_begin_after_the_deadline_is_not_planned(app: App, signal: Any) -> None:
    @app.task
    async def give_up() -> None:
        raise signal(7200)

    job = await give_up.options(deadline="1h").enqueue()

    await burst(app)

    info = await job.info()
    # A snooze is no attempt, and is not charged as one.
    assert plain(info) == ("dead", "deadline", 0 if signal is Snooze else 1)
    assert history(info) == [(1, signal.__name__)]


async def test_no_attempt_begins_after_the_deadline(app: App, failing: Any, later: Any) -> None:
    ears = Ears(app)
    job = await failing.options(deadline="1m", delay="1h").enqueue()
    assert (await again(app, job)).state == "retrying"
    later(61)

    info = await again(app, job)

    assert plain(info) == ("dead", "deadline", 1)
    assert history(info) == [(1, "ValueError"), (2, "DeadlinePassed")]
    assert "before this attempt could begin" in info.errors[1].message
    assert len(ears.of(JobStarted)) == 1


async def test_a_job_whose_deadline_passed_before_it_ever_began_is_dead_and_not_lost(
    app: App, failing: Any
) -> None:
    jobs = [await failing.options(deadline=0, **one).enqueue() for one in ({}, {"expires": 0})]

    await burst(app)

    told = [plain(await job.info()) for job in jobs]
    assert told == [("dead", "deadline", 0), ("expired", "", 0)]


async def test_a_task_may_have_a_deadline_and_a_call_another_or_none(app: App) -> None:
    @app.task(deadline="0s")
    async def add(a: int, b: int) -> int:
        return a + b

    jobs = [
        await add.enqueue(1, 2),
        await add.options(deadline="1h").enqueue(1, 2),
        await add.options(deadline=None).enqueue(1, 2),
    ]
    await burst(app)

    assert [await job.wait(0) for job in jobs] == ["dead", "succeeded", "succeeded"]


async def test_a_job_in_time_ends_as_ever(app: App) -> None:
    @app.task(retry=AT_ONCE, deadline="1h")
    async def flaky(ctx: Context) -> int:
        if ctx.attempt == 1:
            raise ValueError
        return ctx.attempt

    job = await flaky.enqueue()
    await burst(app)

    assert (await again(app, job)).state == "succeeded"
    assert await job.result(0) == 2
