"""What each role of ``deploy/redis/users.acl`` does in its life: all of it must be allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from rqueue import (
    App,
    Discard,
    Durability,
    Job,
    JobFailed,
    LeaseConfig,
    NotDurable,
    Retry,
    Snooze,
)
from rqueue.doctor.exam import examine
from rqueue.doctor.report import report_of
from rqueue.metrics import QueueMetrics
from rqueue.metrics.scale import Scale
from rqueue.store.calls import entries, leases
from rqueue.store.keys import GROUP, LANES, queue_keys
from rqueue.store.transport import Transport
from tests.support.clients import client
from tests.support.waiting import eventually
from tests.support.working import scheduling, working

SHORT = LeaseConfig(lease_s=0.5)
DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def with_tasks(app: App) -> App:
    """Tasks that end in every way."""

    @app.task
    async def add(a: int, b: int = 0) -> int:
        return a + b

    @app.task(retry=Retry(max_attempts=2, base=0.01))
    async def fail() -> None:
        raise ValueError

    @app.task
    async def doze() -> str:
        app.__dict__.setdefault("dozed", [])
        if not app.__dict__["dozed"]:
            app.__dict__["dozed"].append(True)
            raise Snooze(0.01)
        return "awake"

    @app.task
    async def drop() -> None:
        raise Discard

    @app.task
    async def hold() -> None:
        await asyncio.Event().wait()

    @app.task
    async def follow() -> int:
        job: Job[int] = await app.remote("add").enqueue(1, 2)
        return await job.result(10)

    return app


async def produce(app: App, others: App) -> None:
    """Send in every way, wait for results, look after what was sent."""
    add = with_tasks(app).tasks.get("add")
    await others.inspector.limit("default", waiting=1000, scheduled=1000)
    queued = await add.options(unique="queued").enqueue(1)
    await queued.reschedule(delay=3600)
    await queued.promote()
    await queued.cancel()
    async with working(with_tasks(others), lease=SHORT):
        jobs = [await add.enqueue(1), *await app.enqueue_many(add.call(n) for n in range(5))]
        jobs.append(await add.options(unique="one", job_id="chosen", priority="high").enqueue(1))
        assert [await job.result(10) for job in jobs]
        assert jobs[0].result_sync(10) == 1
        await jobs[0].info()
        later = await add.options(delay=3600).enqueue(2)
        await later.reschedule(delay=1800)
        await later.cancel()
        running = await app.remote("hold").enqueue()
        await eventually(lambda: running.info_sync().state == "running")
        await running.cancel()
        await running.wait(10)
        await add.options(durability="fsync").enqueue(1)
        lonely = Durability(mode="replicated", timeout_s=0.02)
        with suppress(NotDurable):
            await add.options(durability=lonely).enqueue(1)
        await add.options(record=True).now(3)
        app.enqueue_many_sync(add.call(n) for n in range(3))


async def work(app: App, others: App) -> None:
    """Run jobs that end in every way, take those of the dead, and repair what was destroyed."""
    keys = queue_keys(app.store.namespace, "default")
    admin, transport = client(others.store.url), Transport(others.store)
    remote = others.remote
    async with scheduling(others):
        transport.send(leases.register(keys, "dead", 1))
        left = await remote("add").options(unique="left").enqueue(7)
        transport.send(entries.fetch(keys, "dead", 1, [(lane, 1) for lane in LANES]))
        async with working(with_tasks(app), lease=SHORT) as worker:
            sent = [
                await remote("add").enqueue(1),
                await remote("doze").enqueue(),
                await remote("drop").enqueue(),
                await remote("fail").enqueue(),
                await remote("follow").enqueue(),
                await remote("add").options(expires=0.0001).enqueue(1),
                left,
            ]
            for job in sent:
                await job.wait(20)
            await remote("nobody_knows").enqueue()
            held = await remote("hold").enqueue()
            await eventually(lambda: held.info_sync().state == "running")
            await held.cancel()
            await held.wait(10)
            await others.inspector.pause("default")
            await others.inspector.resume("default")
            for lane in LANES:
                admin.xgroup_destroy(keys.stream(lane), GROUP)
            await (await remote("add").enqueue(5)).result(10)
            given_back = await remote("hold").enqueue()
            await eventually(lambda: worker.in_hand == 1)
            await _look_into(others, *worker.worker_ids)
        assert (await given_back.info()).state == "queued"
    assert (await others.inspector.stats(task="fail")).failures, "it may keep its history"
    admin.close()
    transport.close()


async def schedule(app: App, others: App) -> None:
    """Promote, fire, declare, recover and clean up."""
    keys = queue_keys(app.store.namespace, "default")
    transport = Transport(others.store)
    transport.send(leases.register(keys, "dead", 1))
    left = await others.remote("add").options(unique="left").enqueue(7)
    transport.send(entries.fetch(keys, "dead", 1, [(lane, 1) for lane in LANES]))
    with_tasks(app)

    names = ("skip", "queue", "cancel_running", "allow")
    for name in names:
        app.every("1s", name=name, overlap=name)(app.tasks.get("doze").fn)
    async with (
        working(with_tasks(others), lease=LeaseConfig(lease_s=60)),
        scheduling(app, lease=SHORT),
    ):
        due = await others.remote("add").options(delay=0.05).enqueue(1)
        assert await due.result(10) == 1
        assert await left.result(20) == 7
        for name in names:
            await eventually(lambda name=name: len(others.schedules_sync.history(name)) > 1)
    transport.close()


async def export(app: App, others: App) -> None:
    """Tell Prometheus, and whoever scales."""
    await others.remote("add").enqueue(1)
    await others.schedules.upsert("s", others.remote("add").call(1), every=3600)
    async with working(with_tasks(others)):
        assert list(QueueMetrics(app).collect())
        Scale(app).of(["default"])


async def administer(app: App, others: App) -> None:
    """All that the command line can."""
    async with working(with_tasks(others)), scheduling(others):
        job = await others.remote("fail").enqueue()
        with suppress(JobFailed):
            await job.result(10)
        await _look_after_queues(app, job)
        await _look_after_schedules(app)
        await _look_into(app, *await app.workers.list())


async def _look_into(app: App, *workers: str) -> None:
    """Ask workers whatever can be asked, and tell them to end."""
    for worker in workers:
        assert (await app.workers.show(worker))["slots"] > 0
        assert await app.workers.stacks(worker)
        assert await app.workers.quiet(worker)
        assert await app.workers.stop(worker)


async def _look_after_queues(app: App, job: Job[Any]) -> None:
    inspector = app.inspector
    await inspector.queues()
    await inspector.stats()
    await inspector.stats("default", task="fail", since="24h")
    await inspector.dead("default")
    await inspector.requeue("default", [job.id])
    await job.wait(10)
    await inspector.discard("default")
    await inspector.pause("default")
    waiting = await app.remote("add").enqueue(1)
    await inspector.limit("default", waiting=10)
    await inspector.aim("default", 5)
    await inspector.demand("default")
    await inspector.find(waiting.id)
    await waiting.cancel()
    await inspector.resume("default")
    later = await app.remote("add").options(delay=3600).enqueue(1)
    await later.reschedule(delay=60)
    await later.promote()
    await later.wait(10)


async def _look_after_schedules(app: App) -> None:
    schedules = app.schedules
    await schedules.upsert("s", app.remote("add").call(1), every=DAY)
    await schedules.list()
    await schedules.history("s")
    await (await schedules.trigger("s")).wait(10)
    await schedules.past("s", FIRST, FIRST + DAY)
    await schedules.backfill("s", FIRST, FIRST + DAY)
    await schedules.pause("s")
    await schedules.resume("s")
    await schedules.delete("s")


async def diagnose(app: App, others: App) -> None:
    """Look at everything twice."""
    await others.remote("add").enqueue(1)
    await others.remote("add").options(delay=3600).enqueue(1)
    await others.schedules.upsert("s", others.remote("add").call(1), every=3600)
    async with working(with_tasks(others)), scheduling(others):
        failing = await others.remote("fail").enqueue()
        await failing.wait(10)
        looking = asyncio.to_thread(examine, app.connections.blocking(), pause_s=0.01)
        assert report_of(await looking).memory.families


Life = Callable[[App, App], Coroutine[Any, Any, None]]
LIVES: dict[str, Life] = {
    "producer": produce,
    "worker": work,
    "scheduler": schedule,
    "exporter": export,
    "admin": administer,
    "doctor": diagnose,
}
