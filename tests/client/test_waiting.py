"""Waiting: pushed, not polled; every way a job ends reaches who waits for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from redis import Redis

from rqueue import Discard, as_completed, results, wait
from rqueue.app import App
from rqueue.client.listener import REREAD_S
from rqueue.config import QueueShare
from rqueue.errors import (
    CodecError,
    ConfigError,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobNotFound,
    ResultGone,
    ResultTimeout,
)
from rqueue.job import JobState
from rqueue.retry import Retry
from rqueue.store.scripts import AWAIT, RENEW
from rqueue.task import Task
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import burst, working


@pytest.fixture
def add(app: App) -> Task[[int, int], int]:
    @app.task
    async def add(a: int, b: int = 0) -> int:
        return a + b

    return add


@pytest.fixture
def ending(app: App) -> Task[[str], None]:
    """Ends as it is told."""

    @app.task(retry=Retry(max_attempts=1))
    async def ending(how: str) -> None:
        if how == "discard":
            raise Discard("gone")
        if how == "fail":
            raise LookupError("no such thing")

    return ending


async def test_who_waits_before_the_end_is_told_at_the_end(app: App, add: Any) -> None:
    job = await add.enqueue(1, 2)
    waiting = asyncio.create_task(job.result(PATIENCE_S))
    blocking = asyncio.create_task(asyncio.to_thread(job.result_sync, PATIENCE_S))

    async with working(app):
        assert (await waiting, await blocking) == (3, 3)


async def test_who_asks_after_the_end_is_told_at_once(app: App, add: Any) -> None:
    job = await add.enqueue(1, 2)
    await burst(app)

    assert (await job.result(0), job.result_sync(0)) == (3, 3)
    assert (await job.wait(0), job.wait_sync(0)) == (JobState.SUCCEEDED, JobState.SUCCEEDED)
    assert await app.job(job.id).result(0) == 3


async def test_a_dead_job_tells_why(app: App, ending: Any) -> None:
    job = await ending.enqueue("fail")
    await burst(app)

    with pytest.raises(
        JobFailed, match=r"is dead \(failed\): LookupError: no such thing"
    ) as failed:
        await job.result(0)

    told = failed.value
    assert (told.job_id, told.reason, told.error_type) == (job.id, "failed", "LookupError")
    assert 'raise LookupError("no such thing")' in told.traceback
    with pytest.raises(JobFailed, match="no such thing"):
        job.result_sync(0)
    assert await job.wait(0) == JobState.DEAD


async def test_a_cancelled_job_tells_why(app: App, ending: Any) -> None:
    discarded = await ending.enqueue("discard")
    await burst(app)
    cancelled = await ending.enqueue("")
    answer = await cancelled.cancel("not needed")

    assert answer == "cancelled"
    for job, reason in ((discarded, "gone"), (cancelled, "not needed")):
        with pytest.raises(JobCancelled, match=reason):
            await job.result(0)
        with pytest.raises(JobCancelled, match=reason):
            job.result_sync(0)
        assert await job.wait(0) == JobState.CANCELLED


async def test_a_job_that_was_not_started_in_time_tells_so(app: App, add: Any) -> None:
    job = await add.options(expires=0).enqueue(1)
    await burst(app)

    with pytest.raises(JobExpired):
        await job.result(0)
    assert await job.wait(0) == JobState.EXPIRED


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_job_nobody_knows_is_not_found(app: App, blocking: bool) -> None:
    job = app.job("nobody")

    async def ask(name: str, *args: Any) -> Any:
        if blocking:
            return getattr(job, f"{name}_sync")(*args)
        return await getattr(job, name)(*args)

    for name, args in (("result", (5,)), ("wait", (5,)), ("info", ()), ("cancel", ())):
        with pytest.raises(JobNotFound, match=r"no job 'nobody' in queue 'default'"):
            await ask(name, *args)


@pytest.mark.parametrize("ttl", [0, 0.001])
async def test_a_result_that_was_not_kept_is_gone_and_the_job_is_not(
    app: App, add: Any, ttl: float
) -> None:
    job = await add.options(result_ttl=ttl).enqueue(1, 2)
    await burst(app)

    async def is_gone() -> bool:
        try:
            await job.result(0)
        except ResultGone as gone:
            return "its result was not kept" in str(gone)
        return False

    assert await eventually(is_gone)
    assert (await job.wait(0), (await job.info()).state) == ("succeeded", "succeeded")


async def test_a_wait_ends_when_its_time_is_over_and_the_job_goes_on(app: App, add: Any) -> None:
    job = await add.enqueue(1, 2)
    for seconds in (0, 0.05):
        began = time.monotonic()
        with pytest.raises(ResultTimeout, match=f"has not ended after {seconds:g} s") as timeout:
            await job.result(seconds)
        with pytest.raises(ResultTimeout):
            job.result_sync(seconds)
        assert isinstance(timeout.value, TimeoutError)
        assert 2 * seconds <= time.monotonic() - began < REREAD_S / 2

    await burst(app)
    assert await job.result(0) == 3


@pytest.mark.parametrize("blocking", [True, False])
async def test_who_only_looks_is_not_told_of_the_end(
    app: App, add: Any, redis: Redis, blocking: bool
) -> None:
    job = await add.enqueue(1, 2)

    with pytest.raises(ResultTimeout):
        job.result_sync(0) if blocking else await job.result(0)

    assert not redis.exists(f"{app.store.namespace}:{{default}}:waiters")


async def test_a_time_that_has_passed_is_enough_for_one_look(app: App, add: Any) -> None:
    job = await add.enqueue(1, 2)
    with pytest.raises(ResultTimeout):
        await job.result(-1)
    await burst(app)

    assert (await job.result(-1), job.result_sync(-1)) == (3, 3)


@pytest.mark.parametrize("timeout", [float("nan"), "5", True])
@pytest.mark.parametrize("blocking", [True, False])
async def test_a_timeout_that_makes_no_sense_is_refused(
    app: App, timeout: Any, blocking: bool
) -> None:
    job = app.job("x")
    with pytest.raises(ConfigError, match="timeout"):
        job.result_sync(timeout) if blocking else await job.result(timeout)


async def test_a_result_that_does_not_fit_the_readers_annotation_says_so(
    app: App, add: Any, url: str, namespace: str
) -> None:
    job = await add.options(job_id="x").enqueue(1, 2)
    await burst(app)
    other = App(url, namespace=namespace)

    @other.task(name="add")
    async def add_as_text(a: int, b: int = 0) -> str:
        return str(a + b)

    theirs = await add_as_text.options(job_id="x").enqueue(1, 2)

    assert (theirs.status, theirs) == ("duplicate", job)
    with pytest.raises(CodecError, match="the result does not fit"):
        await theirs.result(0)
    await other.close()


async def test_many_waits_share_one_subscription(app: App, add: Any, redis: Redis) -> None:
    jobs = await app.enqueue_many(add.call(n) for n in range(100))
    waiting = [asyncio.create_task(job.result(PATIENCE_S)) for job in jobs]
    waiters = f"{app.store.namespace}:{{default}}:waiters"
    await eventually(lambda: redis.hlen(waiters) == 100)

    (channel,) = redis.pubsub_channels(f"{app.store.namespace}:client:*")
    assert redis.pubsub_numsub(channel) == [(channel, 1)]

    async with working(app):
        assert await asyncio.gather(*waiting) == list(range(100))
    assert redis.exists(waiters) == 0


async def test_nobody_polls_while_waiting(add: Any, url: str, namespace: str) -> None:
    """While a worker renews its lease again and again, who waits asks nothing."""
    with Proxy(url) as proxy:
        app, look, renewal = App(proxy.url, namespace=namespace), AWAIT.sha, RENEW.sha
        job = await app.task(add.fn).enqueue(1, 2)
        waiting = asyncio.create_task(job.result(PATIENCE_S))
        async with working(app, queues=_queues("other")):
            await eventually(lambda: proxy.count(renewal.encode()) >= 4)
            # One look at first, one when the subscription stood.
            assert proxy.count(look.encode()) == 2

        async with working(app):
            assert await waiting == 3
        assert proxy.count(look.encode()) == 3
        await app.close()


async def test_several_clients_wait_for_one_job(
    app: App, add: Any, url: str, namespace: str
) -> None:
    job = await add.enqueue(1, 2)
    others = [App(url, namespace=namespace) for _ in range(3)]
    waits = [asyncio.create_task(one.job(job.id).result(PATIENCE_S)) for one in (app, *others)]

    async with working(app):
        assert await asyncio.gather(*waits) == [3] * 4
    for other in others:
        await other.close()


async def test_a_wait_that_was_given_up_disturbs_nobody(app: App, add: Any) -> None:
    job = await add.enqueue(1, 2)
    waits = [asyncio.create_task(job.result(PATIENCE_S)) for _ in range(3)]
    await asyncio.sleep(0)
    waits[0].cancel()

    async with working(app):
        assert await asyncio.gather(*waits[1:]) == [3, 3]


async def test_results_come_in_the_order_of_the_jobs(app: App, add: Any) -> None:
    jobs = await app.enqueue_many(add.call(n) for n in range(50))

    async with working(app):
        assert await results(jobs, PATIENCE_S) == list(range(50))
        await wait(jobs, PATIENCE_S)


async def test_the_first_failure_of_many_is_raised(app: App, ending: Any) -> None:
    jobs = await app.enqueue_many(ending.call(how) for how in ("", "fail", ""))

    async with working(app):
        with pytest.raises(JobFailed):
            await results(jobs, PATIENCE_S)


async def test_jobs_come_as_they_end(app: App, add: Any) -> None:
    later = await add.options(queue="later").enqueue(2)
    now = await add.enqueue(1)
    seen: list[Any] = []

    async with working(app, queues=_queues("default")):
        async for job in as_completed([later, now], PATIENCE_S):
            seen.append(job)
            if job == now:
                await burst(app, queues=_queues("later"))

    assert seen == [now, later]


async def test_waiting_for_many_ends_when_time_is_over(app: App, add: Any) -> None:
    jobs = await app.enqueue_many(add.call(n) for n in range(3))

    with pytest.raises(ResultTimeout):
        await wait(jobs, 0.05)


def _queues(*names: str) -> Any:
    return tuple(QueueShare(name) for name in names)
