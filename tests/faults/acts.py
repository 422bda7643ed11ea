"""All that a user can await, as acts that may be cancelled anywhere; and whether it is all."""

from __future__ import annotations

import asyncio
import inspect
import random
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import CodeType, FrameType
from typing import Any

import pytest

import rqueue
from rqueue import Durability, Job, NotDurable, Task, as_completed, results, wait
from rqueue.app import App
from rqueue.config import WorkerConfig
from rqueue.errors import ScheduleNotFound
from rqueue.worker.scheduler import Scheduler
from rqueue.worker.worker import Worker
from tests.support.waiting import PATIENCE_S
from tests.support.working import SHORT

Act = Callable[[], Coroutine[Any, Any, Any]]
LONELY = Durability(mode="replicated", timeout_s=0.02)
"""Waits for a replica where there is none."""
DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("kept", "forgotten")


class Producer:
    """All that a producer can await, and whoever looks after queues and schedules."""

    def __init__(self, app: App, chance: random.Random) -> None:
        self.app = app
        self.chance = chance
        self.jobs: list[Job[Any]] = []
        self.guests: list[App] = []
        """Apps of their own on the same queue, that were closed, or were about to be."""
        self.acts: list[Act] = [
            self.enqueue, self.enqueue, self.enqueue_many, self.send, self.delayed,
            self.on_disk, self.on_disk, self.in_vain, self.many_on_disk,
            self.result, self.result, self.wait, self.info, self.cancel, self.reschedule,
            self.results, self.wait_all, self.completed,
            self.queues, self.pause_and_resume, self.dead, self.requeue, self.find, self.workers,
            self.ask_worker,
            self.now, self.limit, self.close,
            self.schedule, self.look_at_schedule, self.pause_schedule, self.fire_schedule,
            self.forget_schedule,
        ]  # fmt: skip

    @property
    def answer(self) -> Task[[int], int]:
        return self.app.tasks.get("answer")

    async def enqueue(self) -> None:
        self.jobs.append(await self.answer.enqueue(1))

    async def enqueue_many(self) -> None:
        self.jobs += await self.app.enqueue_many(self.answer.call(n) for n in range(20))

    async def send(self) -> None:
        await self.app.send("answer", 2)

    async def delayed(self) -> None:
        await self.answer.options(delay=0.05).enqueue(3)

    async def on_disk(self) -> None:
        job = await self.answer.options(durability="fsync").enqueue(7)
        assert job.durability == "fsync"
        self.jobs.append(job)

    async def many_on_disk(self) -> None:
        durable = self.answer.options(durability="fsync")
        self.jobs += await self.app.enqueue_many(durable.call(n) for n in range(5))

    async def in_vain(self) -> None:
        with pytest.raises(NotDurable):
            await self.answer.options(durability=LONELY).enqueue(8)

    async def result(self) -> None:
        job = await self.answer.enqueue(4)
        assert await job.result(PATIENCE_S) == 4

    async def wait(self) -> None:
        await self._some(1)[0].wait(PATIENCE_S)

    async def info(self) -> None:
        (job,) = self._some(1)
        assert (await job.info()).id == job.id

    async def cancel(self) -> None:
        job = await self.answer.options(delay=0.05).enqueue(5)
        await job.cancel()

    async def reschedule(self) -> None:
        job = await self.answer.options(delay=0.3).enqueue(9)
        self.jobs.append(job)
        await job.reschedule(delay=0.05)
        await job.promote()

    async def results(self) -> None:
        await results(self._some(5), PATIENCE_S)

    async def wait_all(self) -> None:
        await wait(self._some(5), PATIENCE_S)

    async def completed(self) -> None:
        async for job in as_completed(self._some(5), PATIENCE_S):
            assert job in self.jobs

    async def now(self) -> None:
        assert await self.answer.options(record=True).now(6) == 6

    async def limit(self) -> None:
        await self.app.inspector.limit("aside", waiting=self.chance.choice([None, 10_000]))
        assert (await self.app.inspector.demand("aside")).running == 0
        await self.app.inspector.aim("aside", self.chance.choice([None, 5.0]))

    async def queues(self) -> None:
        assert [one.name for one in await self.app.inspector.queues("default")] == ["default"]
        assert (await self.app.inspector.stats("default", since="24h")).slot_s == 3600

    async def pause_and_resume(self) -> None:
        await self.app.inspector.pause("aside")
        await self.app.inspector.resume("aside")

    async def dead(self) -> None:
        assert {one.state for one in await self.app.inspector.dead("default")} <= {"dead"}

    async def requeue(self) -> None:
        await self.app.inspector.requeue("aside")
        await self.app.inspector.discard("aside", ["nothing"])

    async def find(self) -> None:
        (job,) = self._some(1)
        found = await self.app.inspector.find(job.id)
        assert found is not None
        assert found.id == job.id

    async def workers(self) -> None:
        assert len(await self.app.workers.list()) == 1
        assert not await self.app.workers.stop("nobody")
        assert not await self.app.workers.quiet("nobody")

    async def ask_worker(self) -> None:
        (name,) = await self.app.workers.list()
        assert (await self.app.workers.show(name))["slots"] > 0
        assert "rqueue-heartbeat" in await self.app.workers.stacks(name)

    async def close(self) -> None:
        guest = App(self.app.store.url, namespace=self.app.store.namespace)
        self.guests.append(guest)
        job = await guest.send("answer", 10)
        await job.result(PATIENCE_S)
        await guest.close()

    async def schedule(self) -> None:
        name = self.chance.choice(NAMES)
        said = await self.app.schedules.upsert(name, self.answer.call(11), every=DAY)
        assert said in ("created", "unchanged")

    async def schedule_all(self) -> None:
        for name in NAMES:
            await self.app.schedules.upsert(name, self.answer.call(11), every=DAY)

    async def look_at_schedule(self) -> None:
        assert {one.name for one in await self.app.schedules.list()} <= set(NAMES)
        with suppress(ScheduleNotFound):
            assert (await self.app.schedules.get(NAMES[0])).name == NAMES[0]
            assert len(await self.app.schedules.next(NAMES[0], 3)) == 3
            await self.app.schedules.history(NAMES[0])

    async def pause_schedule(self) -> None:
        with suppress(ScheduleNotFound):
            await self.app.schedules.pause(NAMES[0])
            await self.app.schedules.resume(NAMES[0])

    async def fire_schedule(self) -> None:
        with suppress(ScheduleNotFound):
            self.jobs.append(await self.app.schedules.trigger(NAMES[0]))
            await self.app.schedules.past(NAMES[0], FIRST, FIRST + 2 * DAY)
            self.jobs += await self.app.schedules.backfill(NAMES[0], FIRST, FIRST + 2 * DAY)

    async def forget_schedule(self) -> None:
        with suppress(ScheduleNotFound):
            await self.app.schedules.delete(NAMES[1])

    def _some(self, count: int) -> list[Job[Any]]:
        return self.chance.choices(self.jobs, k=count)


async def run_worker(app: App) -> None:
    """Work until nothing waits."""
    await Worker(app, WorkerConfig(lease=SHORT, concurrency=10, burst=True)).run()


async def run_scheduler(app: App, *, is_told: bool = True) -> None:
    """Serve every queue for ever, or until it is told to stop, as soon as it serves them."""
    scheduler = Scheduler(app, (), SHORT)

    async def tell() -> None:
        await scheduler.ready.wait()
        scheduler.stop()

    telling = asyncio.create_task(tell()) if is_told else None
    try:
        await scheduler.run()
    finally:
        if telling is not None:
            telling.cancel()


def public_coroutines(app: App) -> dict[str, CodeType]:
    """Every coroutine that can be reached from ``rqueue.__all__``, by its name.

    What an app leads to, such as its inspector, is no less public than the app.
    """
    exported = [getattr(rqueue, name) for name in rqueue.__all__]
    led_to = [
        type(getattr(app, name))
        for name, value in vars(App).items()
        if isinstance(value, cached_property)
    ]
    classes = {one for one in (*exported, *led_to) if inspect.isclass(one)}
    methods = [
        value
        for one in classes
        for name in dir(one)
        if not name.startswith("_")
        for value in (inspect.getattr_static(one, name),)
    ]
    return {
        f"{one.__module__}.{one.__qualname__}": one.__code__
        for one in (*exported, *methods)
        if inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
    }


_IS_WATCHED: ContextVar[bool] = ContextVar("_IS_WATCHED", default=False)


@contextmanager
def calls() -> Iterator[set[CodeType]]:
    """All functions that run until the end of the block in here, and in tasks begun from here."""
    seen: set[CodeType] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and _IS_WATCHED.get():
            seen.add(frame.f_code)

    before, token = sys.getprofile(), _IS_WATCHED.set(True)
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(before)
        _IS_WATCHED.reset(token)
