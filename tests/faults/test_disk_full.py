"""The disk of the append-only file is full: refused with a type, nobody condemned, nothing lost."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rqueue import StoreUnavailable
from rqueue.app import App
from rqueue.config import StoreConfig
from rqueue.events import WorkerFenced, WorkerReaped
from rqueue.store.keys import QueueKeys
from tests.support.owned import redis
from tests.support.queue_state import QueueState, read_state
from tests.support.servers import FLAVOURS, Server
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import SHORT, scheduling, working

__all__ = ["redis"]

pytestmark = pytest.mark.fault

KEYS = QueueKeys("rqueue", "default")


class Disk:
    """The disk of one server: how large its files may grow, as a quota would have it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def fill(self) -> None:
        self._allow(max(file.stat().st_size for file in self._folder.rglob("*.aof")) + 100)

    def clear(self) -> None:
        self._allow(resource.RLIM_INFINITY)

    def _allow(self, size: int) -> None:
        resource.prlimit(self._server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture(params=FLAVOURS)
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with Server(request.param, data_dir=tmp_path / "data") as server:
        yield server


@pytest.fixture
def disk(own: Server, tmp_path: Path) -> Disk:
    return Disk(own, tmp_path / "data")


@pytest.fixture
async def app(own: Server) -> AsyncIterator[App]:
    app = App(own.url)
    app.store = StoreConfig(url=own.url, retry_s=0.1)

    @app.task
    async def add(a: int) -> int:
        return a

    yield app
    await app.close()


async def until_refused(app: App) -> int:
    """How many jobs are accepted before the server notices that its disk is full."""
    for count in range(1000):
        try:
            await app.send("add", count)
        except StoreUnavailable:
            return count
    raise AssertionError("the disk was never full")


def is_written(redis: Redis) -> bool:
    told: Any = redis.info("persistence")
    return told["aof_last_write_status"] == "ok"


def jobs_of(redis: Redis) -> QueueState:
    return read_state(redis, KEYS)


async def test_new_jobs_are_refused_with_nothing_written_and_the_same_ones_taken_later(
    app: App, disk: Disk, own: Server, redis: Redis
) -> None:
    disk.fill()
    count = await until_refused(app)
    before = jobs_of(redis)
    add = app.tasks.get("add")
    calls = [add.call(0), add.options(delay=60, unique="one").call(1), add.call(2)]

    for call in calls:
        with pytest.raises(StoreUnavailable, match="MISCONF") as refused:
            await app.enqueue(call)
        assert len(refused.value.job_ids) == 1
    with pytest.raises(StoreUnavailable, match="MISCONF"):
        app.enqueue_many_sync(calls)
    assert jobs_of(redis) == before

    disk.clear()
    await eventually(lambda: is_written(redis))
    jobs = await app.enqueue_many(calls)

    assert [job.status for job in jobs] == ["accepted"] * 3
    there = jobs_of(redis)
    assert (len(there.records), there.meta) == (count + 3, {"enqueue": str(count + 3)})
    own.restart()
    assert jobs_of(redis) == there


async def test_workers_outlast_it_and_record_afterwards_what_they_ran(
    app: App, disk: Disk, redis: Redis
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    @app.task
    async def hold() -> str:
        runs.append(1)
        begun.set()
        await goes_on.wait()
        return "held"

    ears = Ears(app)
    held = await hold.enqueue()
    async with working(app), working(app), scheduling(app):
        await begun.wait()
        disk.fill()
        await until_refused(app)
        # Nobody can renew, and everybody can look: three leases long.
        await asyncio.wait({asyncio.create_task(goes_on.wait())}, timeout=3 * SHORT.lease_s)
        goes_on.set()
        assert ears.of(WorkerFenced) == []
        disk.clear()

        assert await held.result(PATIENCE_S) == "held"
        assert await (await app.send("add", 7)).result(PATIENCE_S) == 7
        await eventually(lambda: is_drained(app))

    assert (ears.of(WorkerFenced), ears.of(WorkerReaped), runs) == ([], [], [1])


async def is_drained(app: App) -> bool:
    (queue,) = await app.inspector.queues()
    return queue.counters.get("complete") == queue.counters["enqueue"]
