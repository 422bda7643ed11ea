"""Leases: a worker keeps its own while it lives, and comes back after it lost it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from redis import Redis

from rqueue import Context, LeaseConfig, QueueShare
from rqueue.app import App
from rqueue.events import JobFinished, JobStarted, LoopStalled, WorkerFenced, WorkerReaped
from rqueue.job import JobState
from rqueue.store.keys import QueueKeys
from rqueue.store.scripts import FINISH, REGISTER, RENEW
from rqueue.worker.slots import Slots
from tests.support.proxy import Proxy
from tests.support.queue_state import read_state
from tests.support.servers import only_valkey
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import SHORT, scheduling, working


@pytest.fixture
def keys(namespace: str) -> QueueKeys:
    return QueueKeys(namespace, "default")


async def test_a_fenced_worker_stops_its_jobs_and_comes_back_under_a_new_name(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    ears, runs, inside = Ears(app), list[int](), asyncio.Event()

    @app.task
    async def wait(ctx: Context) -> str:
        runs.append(ctx.fencing_token)
        inside.set()
        if len(runs) == 1:
            await asyncio.Event().wait()
        return ctx.worker

    # One slot: no read under the old name waits for what is moved.
    async with working(app, concurrency=1) as worker, scheduling(app):
        (before,) = worker.worker_ids
        job = await wait.enqueue()
        await inside.wait()
        redis.zrem(keys.leases, before)

        after = await job.result(PATIENCE_S)

        assert worker.worker_ids == [after] != [before]
        (fenced,) = ears.of(WorkerFenced)
        assert (fenced.queue, fenced.worker, fenced.jobs) == ("default", before, 1)
        assert [one.worker for one in await ears.hears(WorkerReaped)] == [before]
        assert list(await app.workers.list()) == [after]

    assert runs == [1, 2]
    assert [one.status for one in ears.of(JobFinished)] == ["fenced", "recorded"]
    assert (await job.info()).crashes == 1


async def test_a_blocked_event_loop_keeps_its_lease_and_is_named(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears(app)

    @app.task
    async def hog() -> str:
        time.sleep(2 * SHORT.lease_s)  # noqa: ASYNC251 - that is what the test is about
        return "done"

    async with working(app, stall_warn_s=0.2) as worker, scheduling(app):
        before = worker.worker_ids
        job = await hog.enqueue()
        assert await job.result(PATIENCE_S) == "done"
        assert worker.worker_ids == before

    assert ears.of(WorkerFenced) == []
    (stalled,) = ears.of(LoopStalled)
    assert stalled.task == "hog"
    told = [r for r in caplog.records if r.name == "rqueue" and "hog" in r.getMessage()]
    assert [r.levelno for r in told] == [logging.WARNING]
    assert (await job.info()).crashes == 0


async def test_a_loop_that_blocks_beyond_the_limit_loses_its_lease(app: App) -> None:
    ears, runs = Ears(app), list[int]()

    @app.task
    async def hog(ctx: Context) -> int:
        runs.append(ctx.fencing_token)
        if len(runs) == 1:
            time.sleep(4 * SHORT.lease_s)  # noqa: ASYNC251 - that is what the test is about
        return ctx.fencing_token

    async with working(app, stall_warn_s=0.1, stall_limit_s=0.3), scheduling(app):
        job = await hog.enqueue()
        assert await job.result(PATIENCE_S) == 2

    assert len(ears.of(WorkerFenced)) == 1
    assert [one.status for one in ears.of(JobFinished)] == ["fenced", "recorded"]


@pytest.fixture
def full_looks(monkeypatch: pytest.MonkeyPatch) -> list[Slots]:
    """Grows whenever a fetcher looked for a free slot, and there was none."""
    looks, wait = list[Slots](), Slots.changed

    def changed(slots: Slots, seconds: float) -> Coroutine[Any, Any, None]:
        looks.extend([slots] if slots.free == 0 else [])
        return wait(slots, seconds)

    monkeypatch.setattr(Slots, "changed", changed)
    return looks


@only_valkey
async def test_the_thread_of_a_fenced_worker_keeps_its_slot_until_it_returns(
    app: App, redis: Redis, keys: QueueKeys, full_looks: list[Slots]
) -> None:
    ears, seen, go = Ears(app), list[str](), threading.Event()

    @app.task
    def hold() -> None:
        seen.append("hold begins")
        go.wait(PATIENCE_S)
        seen.append("hold ends")

    @app.task
    async def quick() -> None:
        seen.append("quick")

    async with working(app, concurrency=1) as worker:
        (before,) = worker.worker_ids
        held = await hold.enqueue()
        await eventually(lambda: seen)
        redis.zrem(keys.leases, before)
        # The attempt is over, the worker has a new name, and two jobs wait: this one as well.
        await ears.hears(JobFinished, status="fenced")
        await ears.hears(WorkerReaped)
        await eventually(lambda: worker.worker_ids != [before])
        job, looks = await quick.enqueue(), len(full_looks)
        await eventually(lambda: len(full_looks) > looks or ears.of(JobStarted)[1:])
        assert [one.job_id for one in ears.of(JobStarted)] == [held.id]

        go.set()
        assert await job.wait(PATIENCE_S) == JobState.SUCCEEDED

    assert seen == ["hold begins", "hold ends", "hold begins", "hold ends", "quick"]
    assert [one.job_id for one in ears.of(JobStarted)] == [held.id, held.id, job.id]


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with Proxy(url) as proxy:
        yield proxy


@pytest.fixture
def reapers_proxy(url: str) -> Iterator[Proxy]:
    with Proxy(url) as proxy:
        yield proxy


@only_valkey
async def test_an_outage_condemns_nobody_and_stops_no_job(
    proxy: Proxy, reapers_proxy: Proxy, namespace: str, url: str, keys: QueueKeys
) -> None:
    """Longer than a lease: everyone was away, and the reaper is back before the worker."""
    app, near = App(proxy.url, namespace=namespace), App(url, namespace=namespace)
    ears, inside, go = Ears(app), asyncio.Event(), asyncio.Event()
    reapers = App(reapers_proxy.url, namespace=namespace)
    reapers.observe(ears.heard.append)
    look = keys.leases.encode()

    @app.task
    async def wait(ctx: Context) -> tuple[int, int]:
        inside.set()
        await go.wait()
        return ctx.attempt, ctx.crashes

    async with working(app) as worker, scheduling(reapers, ["default"]):
        job = await wait.enqueue()
        await inside.wait()
        before, lease = worker.worker_ids, worker._membership.of("default")
        await eventually(lambda: reapers_proxy.count(look))
        for one in (proxy, reapers_proxy):
            one.cut()
        await eventually(lambda: not lease.may_start())
        looks = reapers_proxy.count(look)
        reapers_proxy.mend()
        await eventually(lambda: reapers_proxy.count(look) >= looks + 2)
        proxy.mend()
        go.set()
        assert await near.job(job.id).result(PATIENCE_S) == [1, 0]
        assert worker.worker_ids == before

    assert (ears.of(WorkerFenced), ears.of(WorkerReaped)) == ([], [])
    for one in (app, near, reapers):
        await one.close()


@only_valkey
async def test_a_worker_with_a_shorter_lease_condemns_nobody_with_a_longer_one(app: App) -> None:
    ears = Ears(app)

    async with (
        working(app, lease=LeaseConfig(lease_s=15)) as slow,
        working(app, lease=LeaseConfig(lease_s=0.9)) as quick,
    ):
        before = slow.worker_ids
        looks, renew = list[bool](), quick._heartbeat._renew_all

        def looked() -> bool:
            looks.append(renew())
            return looks[-1]

        quick._heartbeat._renew_all = looked
        # Its lease is renewed every four seconds; the other one looks all the while.
        await eventually(lambda: len(looks) >= 12)
        assert slow.worker_ids == before

    assert ears.of(WorkerFenced) == []


@only_valkey
async def test_a_lost_answer_to_a_renewal_condemns_nobody(proxy: Proxy, namespace: str) -> None:
    app = App(proxy.url, namespace=namespace)
    ears = Ears(app)

    @app.task
    async def quick() -> int:
        return 1

    async with working(app) as worker, scheduling(app):
        before = worker.worker_ids
        for lost in range(1, 4):
            proxy.lose_answer_to(RENEW.sha.encode())
            await eventually(lambda lost=lost: proxy.lost == lost)
        assert await (await quick.enqueue()).result(PATIENCE_S) == 1
        assert worker.worker_ids == before

    assert ears.of(WorkerFenced) == []
    await app.close()


@only_valkey
async def test_a_lost_answer_to_a_registration_leaves_no_ghost(
    proxy: Proxy, namespace: str, redis: Redis, keys: QueueKeys
) -> None:
    app = App(proxy.url, namespace=namespace)
    async with working(app):
        """The scripts are loaded now."""
    proxy.lose_answer_to(REGISTER.sha.encode())

    async with working(app) as worker, scheduling(app):
        assert proxy.lost == 1
        # The name whose answer was lost is never used; it is reaped like any dead worker.
        await eventually(lambda: list(read_state(redis, keys).leases) == worker.worker_ids)

    await app.close()


@only_valkey
async def test_a_finish_whose_answer_was_lost_is_recorded_once(
    proxy: Proxy, namespace: str
) -> None:
    app = App(proxy.url, namespace=namespace)
    ears, runs = Ears(app), list[int]()

    @app.task
    async def count() -> int:
        runs.append(1)
        return len(runs)

    async with working(app):
        await (await count.enqueue()).result(PATIENCE_S)
        proxy.lose_answer_to(FINISH.sha.encode())
        job = await count.enqueue()
        assert await job.result(PATIENCE_S) == 2
        await ears.hears(JobFinished, 2)

    assert (proxy.lost, len(runs)) == (1, 2)
    assert [one.status for one in ears.of(JobFinished)] == ["recorded", "already"]
    (queue,) = await app.inspector.queues("default")
    assert queue.counters["complete"] == 2
    await app.close()


@only_valkey
async def test_a_consumer_without_a_lease_is_swept_up(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    """A zombie woken inside a blocked read takes an entry although it is fenced."""
    ran: list[str] = []

    @app.task
    async def note(name: str) -> None:
        ran.append(name)

    async with working(app):
        """The groups exist now."""
    job = await note.enqueue("x")
    redis.xreadgroup("workers", "ghost", {keys.stream("normal"): ">"}, count=1)

    async with working(app), scheduling(app):
        assert await job.wait(PATIENCE_S) == JobState.SUCCEEDED

    assert ran == ["x"]
    groups = read_state(redis, keys).groups
    assert not any("ghost" in names for names in groups.values())


@only_valkey
async def test_suspects_run_a_few_at_a_time(app: App, redis: Redis, keys: QueueKeys) -> None:
    inside = most = 0
    go = asyncio.Event()

    @app.task
    async def hold(ctx: Context) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await go.wait()
        inside -= 1
        return ctx.crashes

    async with working(app):
        """The groups exist now."""
    jobs = await app.enqueue_many(hold.call() for _ in range(9))
    redis.xreadgroup("workers", "ghost", {keys.stream("normal"): ">"}, count=9)

    async with working(app, concurrency=9), scheduling(app):
        await eventually(lambda: inside == 3)
        fresh = await hold.enqueue()  # others have room beside them
        await eventually(lambda: inside == 4)
        go.set()
        assert [await job.result(PATIENCE_S) for job in jobs] == [1] * 9
        assert await fresh.result(PATIENCE_S) == 0

    assert most == 4


@pytest.mark.parametrize("lease_s", [0.3, 1, 3600])
def test_the_times_of_a_short_lease_still_make_sense(lease_s: float) -> None:
    times = LeaseConfig(lease_s=lease_s)

    assert times.renew_s < times.gap_s < times.lease_s


async def test_who_is_fenced_on_one_queue_is_still_known_for_the_other(
    app: App, redis: Redis, keys: QueueKeys
) -> None:
    queues = (QueueShare("default"), QueueShare("other"))
    async with working(app, queues=queues) as worker, scheduling(app):
        (before,) = worker.worker_ids
        redis.zrem(keys.leases, before)
        await eventually(lambda: len(worker.worker_ids) == 2)
        (new,) = set(worker.worker_ids) - {before}

        await eventually(
            lambda: served(app, {before: ["other"], new: ["default"]}),
        )


async def served(app: App, expected: dict[str, list[str]]) -> bool:
    found = await app.workers.list()
    return {worker: card["queues"] for worker, card in found.items()} == expected
