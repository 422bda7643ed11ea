"""The scheduler: what is due goes to its stream, at its time and not before."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from rqueue import Context, Retry
from rqueue.app import App
from rqueue.config import QueueShare
from rqueue.events import JobFinished, JobsPromoted
from rqueue.job import JobState
from rqueue.store.keys import QueueKeys, queue_keys
from rqueue.store.scripts import DUE
from rqueue.store.transport import AsyncTransport
from rqueue.worker.promoter import LONGEST_SLEEP_S, Promoter
from rqueue.worker.pruner import Pruner
from tests.support.proxy import Proxy
from tests.support.servers import only_valkey
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import burst, scheduling, working


def queue_keys_of(app: App) -> QueueKeys:
    return queue_keys(app.store.namespace, "default")


@pytest.fixture
def when(app: App) -> Any:
    @app.task
    async def when(ctx: Context) -> float:
        return time.time()

    return when


@pytest.mark.parametrize("kind", ["delay", "run_at"])
async def test_a_job_runs_at_its_time_and_not_before(app: App, when: Any, kind: str) -> None:
    due = datetime.now(UTC) + timedelta(seconds=0.4)
    options: Any = {"delay": 0.4} if kind == "delay" else {"run_at": due}
    async with working(app), scheduling(app):
        job = await when.options(**options).enqueue()
        at = await job.result(PATIENCE_S)

    # One millisecond: Redis counts in whole ones.
    assert -0.002 < at - due.timestamp() < 1.5


async def test_a_scheduler_that_sleeps_is_woken_by_an_earlier_job(app: App, when: Any) -> None:
    async with working(app), scheduling(app):
        await when.options(delay=3600).enqueue()
        soon = await when.options(delay=0.1).enqueue()
        began = time.monotonic()
        await soon.result(PATIENCE_S)

    assert time.monotonic() - began < LONGEST_SLEEP_S / 2


async def test_a_scheduler_that_saw_nothing_is_woken_by_the_first_job(app: App, when: Any) -> None:
    await when.enqueue()
    async with working(app), scheduling(app) as scheduler:
        await scheduler.ready.wait()
        began = time.monotonic()
        await (await when.options(delay=0.05).enqueue()).result(PATIENCE_S)

    assert time.monotonic() - began < LONGEST_SLEEP_S / 2


async def test_a_job_that_comes_while_others_are_moved_is_not_overslept(
    app: App, when: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoter = Promoter(app.connections.here().transport, queue_keys_of(app), app.observers)
    first = await when.options(delay=0.001).enqueue()
    send, seen = AsyncTransport.send, list[Any]()

    async def adding(transport: AsyncTransport, call: Any, *args: Any) -> Any:
        answer = await send(transport, call, *args)
        if call.script is DUE and answer.ids and not seen:
            seen.append(await when.options(delay=0.2).enqueue())
        return answer

    monkeypatch.setattr(AsyncTransport, "send", adding)
    while not seen:
        slept = await promoter.run_once()

    assert (await first.info()).state == JobState.QUEUED
    assert 0 < slept <= 0.2


async def test_jobs_come_in_the_order_of_their_times(app: App) -> None:
    seen: list[int] = []

    @app.task
    async def note(n: int) -> None:
        seen.append(n)

    jobs = [await note.options(delay=d / 20).enqueue(d) for d in (4, 2, 3, 1)]
    async with working(app), scheduling(app):
        for job in jobs:
            await job.wait(PATIENCE_S)

    assert seen == [1, 2, 3, 4]


async def test_a_promoted_job_keeps_its_priority(app: App, when: Any) -> None:
    job = await when.options(delay=0.01, priority="low").enqueue()
    ears = Ears(app)

    async with scheduling(app):
        await ears.hears(JobsPromoted)

    info = await job.info()
    assert (info.state, info.priority) == (JobState.QUEUED, "low")


async def test_many_jobs_that_are_due_together_are_promoted_once_each(
    app: App, redis: Redis, namespace: str
) -> None:
    @app.task
    async def nothing() -> None:
        """Nothing."""

    await app.enqueue_many(nothing.options(delay=0.001).call() for _ in range(450))
    ears = Ears(app)
    async with scheduling(app), scheduling(app), scheduling(app):
        stream = f"{namespace}:{{default}}:stream:normal"
        await eventually(lambda: redis.xlen(stream) == 450)
        (queue,) = await app.inspector.queues("default")

    assert (queue.scheduled, queue.counters["promote"]) == (0, 450)
    assert sum(one.count for one in ears.of(JobsPromoted)) == 450


async def test_a_queue_that_is_new_is_found(app: App, when: Any) -> None:
    async with scheduling(app), working(app, queues=(QueueShare("brand-new"),)):
        job = await when.options(queue="brand-new", delay=0.01).enqueue()
        assert await job.result(PATIENCE_S)


async def test_a_scheduler_serves_only_the_queues_it_was_given(app: App, when: Any) -> None:
    mine = await when.options(queue="mine", delay=0.01).enqueue()
    other = await when.options(queue="other", delay=0.01).enqueue()
    ears = Ears(app)

    async with scheduling(app, ["mine"]):
        await ears.hears(JobsPromoted, queue="mine")

    assert [(await job.info()).state for job in (mine, other)] == ["queued", "scheduled"]


@only_valkey
async def test_a_sleeping_scheduler_does_not_poll(url: str, namespace: str) -> None:
    """Its reaper looks four times in a lease; meanwhile nobody asks what is due."""
    with Proxy(url) as proxy:
        app = App(proxy.url, namespace=namespace)
        ears, nothing = Ears(app), app.remote("nothing")
        due, leases = DUE.sha.encode(), QueueKeys(namespace, "default").leases.encode()
        await nothing.options(delay=3600).enqueue()
        async with scheduling(app):
            await eventually(lambda: proxy.count(due))
            asked, looked = proxy.count(due), proxy.count(leases)
            await eventually(lambda: proxy.count(leases) >= looked + 6)
            # At most the one look when the subscription stood.
            assert proxy.count(due) - asked <= 1

            await nothing.options(delay=0.001).enqueue()
            assert [one.count for one in await ears.hears(JobsPromoted)] == [1]
        await app.close()


async def test_a_retry_waits_for_its_backoff(app: App) -> None:
    seen: list[float] = []

    @app.task(retry=Retry(max_attempts=2, base=0.3, cap=0.3))
    async def flaky(ctx: Context) -> None:
        seen.append(time.monotonic())
        if ctx.attempt == 1:
            raise ValueError

    async with working(app), scheduling(app):
        await (await flaky.enqueue()).wait(PATIENCE_S)

    assert seen[1] - seen[0] < 2


async def test_without_a_scheduler_a_delayed_job_waits(app: App, when: Any) -> None:
    job = await when.options(delay=0.001).enqueue()

    await burst(app)

    assert (await job.info()).state == JobState.SCHEDULED


@only_valkey
async def test_old_dead_letters_are_pruned(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rqueue.worker.pruner.DEAD_KEPT", 3)

    @app.task(retry=Retry(max_attempts=1))
    async def fails(n: int) -> None:
        raise ValueError(n)

    ears = Ears(app)
    await app.enqueue_many(fails.options(job_id=f"j{n}").call(n) for n in range(7))
    await burst(app, concurrency=1)
    assert len(ears.of(JobFinished)) == 7

    async with scheduling(app):

        async def left() -> list[str]:
            found = [one.id for one in await app.inspector.dead("default")]
            return found if len(found) == 3 else []

        assert sorted(await eventually(left)) == ["j4", "j5", "j6"]


@pytest.mark.parametrize("died_ms", [1, 10**13], ids=["too old", "too many"])
async def test_the_pruner_does_not_spin_at_what_it_cannot_discard(
    app: App, redis: Redis, monkeypatch: pytest.MonkeyPatch, died_ms: int
) -> None:
    monkeypatch.setattr("rqueue.worker.pruner.DEAD_KEPT", 0 if died_ms > 1 else 1000)
    keys = queue_keys_of(app)
    redis.zadd(keys.dead, {f"j{n}": died_ms for n in range(100)})
    redis.mset({keys.job(f"j{n}"): "no record" for n in range(100)})
    pruner = Pruner(app.connections.here().transport, keys)

    assert await pruner.run_once() == 120.0


async def test_a_name_that_no_queue_can_have_stops_nobody(
    app: App, redis: Redis, when: Any
) -> None:
    redis.sadd(f"{app.store.namespace}:queues", "not a queue")

    async with working(app), scheduling(app):
        job = await when.options(delay=0.05).enqueue()
        await job.wait(PATIENCE_S)

    assert [one.name for one in await app.inspector.queues()] == ["default"]
