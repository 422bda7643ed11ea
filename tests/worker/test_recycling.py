"""A worker that has done enough ends by itself, and loses nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rqueue import App, Worker, WorkerConfig
from rqueue.worker import recycling
from rqueue.worker.recycling import memory
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import SHORT


async def ended(app: App, **config: Any) -> tuple[bool, str, int]:
    """Whether it ended cleanly, why it did, and how many jobs it left."""
    worker = Worker(app, WorkerConfig(lease=SHORT, concurrency=4, **config))
    async with asyncio.timeout(PATIENCE_S):
        is_clean = await worker.run()
    (queue,) = await app.inspector.queues("default")
    assert queue.running == 0
    return is_clean, worker.recycling.reached, sum(queue.ready.values())


async def test_after_so_many_jobs_it_takes_no_more(app: App) -> None:
    @app.task
    async def work() -> None:
        await asyncio.sleep(0.01)

    await app.enqueue_many(work.call() for _ in range(1000))
    is_clean, why, left = await ended(app, max_jobs=50)

    assert (is_clean, why) == (True, "max_jobs")
    assert 0 < left <= 950


async def test_failed_attempts_count_too(app: App) -> None:
    @app.task
    async def fail() -> None:
        raise ValueError

    await app.enqueue_many(fail.call() for _ in range(3))

    assert (await ended(app, max_jobs=3))[:2] == (True, "max_jobs")


async def test_with_too_much_memory_it_takes_no_more(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = [100]
    monkeypatch.setattr(recycling, "memory", lambda: used[0])

    @app.task
    async def grow() -> None:
        used[0] += 50

    for _ in range(4):
        await grow.enqueue()

    assert await ended(app, max_memory=300) == (True, "max_memory", 0)


class Late:
    """A worker that has done enough while a job of it still runs, and has no grace."""

    def __init__(self, app: App) -> None:
        self.go = asyncio.Event()
        self.has_begun = asyncio.Event()

        @app.task
        async def long() -> None:
            self.has_begun.set()
            await self.go.wait()

        @app.task
        async def short() -> None:
            await self.has_begun.wait()

        self.calls = long.call(), short.call()
        self.worker = Worker(app, WorkerConfig(lease=SHORT, max_jobs=1, grace_s=0))
        self.app = app

    async def run(self, end: Callable[[], object]) -> tuple[bool, int]:
        """Whether it ended cleanly, and how many jobs it left, if so it ends."""
        await self.app.enqueue_many(self.calls)
        working = asyncio.create_task(self.worker.run())
        await eventually(lambda: self.worker.readings().is_draining)
        end()
        async with asyncio.timeout(PATIENCE_S):
            is_clean = await working
        (queue,) = await self.app.inspector.queues("default")
        return is_clean, sum(queue.ready.values())


async def test_it_waits_for_what_still_runs_however_long_that_takes(app: App) -> None:
    late = Late(app)

    def let_turn() -> None:
        asyncio.get_running_loop().call_later(0.3, late.go.set)

    assert await late.run(let_turn) == (True, 0)


async def test_it_does_so_though_threads_of_others_go_on(app: App) -> None:
    late = Late(app)

    def let_turn() -> None:
        loop = asyncio.get_running_loop()
        late.worker._runners.stuck.add(loop.create_future())  # pyright: ignore[reportPrivateUsage]
        loop.call_later(0.3, late.go.set)

    assert await late.run(let_turn) == (True, 0)


async def test_it_does_not_wait_for_a_thread_that_outlives_its_job(app: App) -> None:
    go = threading.Event()

    @app.task(timeout=0.05)
    def deaf() -> None:
        go.wait(PATIENCE_S)

    @app.task
    async def short() -> None: ...

    worker = Worker(app, WorkerConfig(lease=SHORT, max_jobs=1, grace_s=0))
    working = asyncio.create_task(worker.run())
    try:
        await deaf.enqueue()
        await eventually(lambda: worker.readings().stuck_threads)
        await short.enqueue()
        async with asyncio.timeout(PATIENCE_S):
            assert not await working
    finally:
        go.set()


async def test_with_too_much_memory_it_waits_for_its_grace_alone(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recycling, "memory", lambda: 1000)

    @app.task
    async def endless() -> None:
        await asyncio.Event().wait()

    await endless.enqueue()
    worker = Worker(app, WorkerConfig(lease=SHORT, max_memory=500, grace_s=0.1))
    async with asyncio.timeout(PATIENCE_S):
        await worker.run()

    (queue,) = await app.inspector.queues("default")
    assert (worker.recycling.reached, sum(queue.ready.values())) == ("max_memory", 1)


async def test_told_to_stop_meanwhile_it_waits_for_its_grace_alone(app: App) -> None:
    late = Late(app)

    assert await late.run(late.worker.stop) == (False, 1)


def test_the_memory_in_use_is_that_of_this_process() -> None:
    before = memory()
    block = bytearray(64 << 20)
    grown = memory() - before
    del block

    assert grown > 50 << 20
