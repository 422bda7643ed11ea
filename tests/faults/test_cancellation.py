"""F34: every public coroutine is cancelled at random points; nothing is mixed up, lost or left."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rqueue import Job, as_completed, results, wait
from rqueue.app import App
from rqueue.config import StoreConfig, WorkerConfig
from rqueue.store.call import Call
from rqueue.store.connection import POOL_SIZE, pack_words
from rqueue.store.transport import AsyncTransport
from rqueue.worker import Worker
from tests.faults import ledger
from tests.faults.network import Network, Weather
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import SHORT, scheduling, working

pytestmark = pytest.mark.fault

CANCELLATIONS = 500
AT_ONCE = 2 * POOL_SIZE
"""More than there are connections, so that some are cancelled while they wait for one."""
ORPHANED_S = 3.0
BURSTS = 40
Act = Callable[[], Coroutine[Any, Any, Any]]


class Producer:
    """All that a producer can await."""

    def __init__(self, app: App, chance: random.Random) -> None:
        self.app = app
        self.chance = chance
        self.jobs: list[Job[Any]] = []
        self.acts: list[Act] = [
            self.enqueue, self.enqueue, self.enqueue_many, self.send, self.delayed,
            self.result, self.result, self.wait, self.info, self.cancel,
            self.results, self.wait_all, self.completed,
            self.queues, self.pause_and_resume, self.dead, self.requeue, self.find, self.workers,
            self.now, self.limit,
        ]  # fmt: skip

    async def enqueue(self) -> None:
        self.jobs.append(await self.app.tasks.get("answer").enqueue(1))

    async def enqueue_many(self) -> None:
        answer = self.app.tasks.get("answer")
        self.jobs += await self.app.enqueue_many(answer.call(n) for n in range(20))

    async def send(self) -> None:
        await self.app.send("answer", 2)

    async def delayed(self) -> None:
        await self.app.tasks.get("answer").options(delay=0.05).enqueue(3)

    async def result(self) -> None:
        job = await self.app.tasks.get("answer").enqueue(4)
        assert await job.result(PATIENCE_S) == 4

    async def wait(self) -> None:
        await self._some(1)[0].wait(PATIENCE_S)

    async def info(self) -> None:
        (job,) = self._some(1)
        assert (await job.info()).id == job.id

    async def cancel(self) -> None:
        job = await self.app.tasks.get("answer").options(delay=0.05).enqueue(5)
        await job.cancel()

    async def results(self) -> None:
        await results(self._some(5), PATIENCE_S)

    async def wait_all(self) -> None:
        await wait(self._some(5), PATIENCE_S)

    async def completed(self) -> None:
        async for job in as_completed(self._some(5), PATIENCE_S):
            assert job in self.jobs

    async def now(self) -> None:
        assert await self.app.tasks.get("answer").options(record=True).now(6) == 6

    async def limit(self) -> None:
        await self.app.inspector.limit("aside", waiting=self.chance.choice([None, 10_000]))

    async def queues(self) -> None:
        assert [one.name for one in await self.app.inspector.queues("default")] == ["default"]

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
        assert len(await self.app.inspector.workers()) == 1

    def _some(self, count: int) -> list[Job[Any]]:
        return self.chance.choices(self.jobs, k=count)


async def cancelled_after(turns: int, act: Act) -> bool:
    """Start it, cancel it after so many turns of the loop; whether that was in time."""
    task = asyncio.create_task(act())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


@pytest.fixture
def chance() -> random.Random:
    return random.Random(ledger.seed())


@pytest.fixture
async def declared(app: App) -> App:
    @app.task
    async def answer(n: int) -> int:
        await asyncio.sleep(0)
        return n

    return app


def turns(chance: random.Random) -> int:
    """Few or many: the first steps are as likely as the long wait."""
    return round(2 ** chance.uniform(0, 9)) - 1


async def test_cancelled_callers_mix_up_lose_and_leave_nothing(
    declared: App, chance: random.Random
) -> None:
    before = asyncio.all_tasks()
    producer = Producer(declared, chance)
    async with working(declared), scheduling(declared):
        at_work = asyncio.all_tasks()
        await producer.enqueue_many()
        cancelled = 0
        while cancelled < ledger.times(CANCELLATIONS):
            acts = [(turns(chance), chance.choice(producer.acts)) for _ in range(AT_ONCE)]
            cancelled += sum(await asyncio.gather(*(cancelled_after(*one) for one in acts)))
        ledger.note(cancelled_callers=cancelled)
        await every_connection_answers_with_its_own_word(declared)
        await eventually(lambda: nothing_waits(declared), ORPHANED_S)
        await eventually(lambda: names(asyncio.all_tasks() - at_work) <= {"rqueue-results"})
        assert await results(producer.jobs, PATIENCE_S)
    await declared.close()
    await eventually(lambda: asyncio.all_tasks() <= before)


async def every_connection_answers_with_its_own_word(app: App) -> None:
    here = app.connections.here()
    wires = here.transport._wires
    assert wires._room._value == POOL_SIZE
    assert len(wires._shared) <= POOL_SIZE
    for n, wire in enumerate([*wires._shared, *wires._idle]):
        if not wire.is_lost:
            assert await wire.ask(pack_words(["ECHO", f"word-{n}"]), 5) == f"word-{n}".encode()
    assert here.listener._waits == {}
    assert [one._waiting for one in here._coalescers.values()] == [[]] * len(here._coalescers)


async def nothing_waits(app: App) -> bool:
    (queue,) = await app.inspector.queues("default")
    return queue.running == queue.scheduled == 0 and queue.ready == {}


SERVING = ("rqueue-serve", "rqueue-promoter", "rqueue-pruner")


def names(tasks: set[asyncio.Task[Any]]) -> set[str]:
    return {task.get_name() for task in tasks if not task.done()}


async def test_cancelled_workers_lose_and_leave_nothing(
    declared: App, chance: random.Random
) -> None:
    before = asyncio.all_tasks()
    jobs: list[Job[Any]] = []
    config = WorkerConfig(lease=SHORT, concurrency=10, burst=True)
    async with scheduling(declared):
        at_work = asyncio.all_tasks()
        for _ in range(ledger.times(BURSTS)):
            answer = declared.tasks.get("answer")
            jobs += await declared.enqueue_many(answer.call(n) for n in range(30))
            await cancelled_after(turns(chance), Worker(declared, config).run)
        await eventually(lambda: nobody_holds(declared), ORPHANED_S)
        # A scheduler that finds the queue meanwhile serves it from then on.
        await eventually(
            lambda: all(n.startswith(SERVING) for n in names(asyncio.all_tasks() - at_work))
        )
        async with working(declared):
            # At length there are tens of thousands: a worker that is cancelled leaves them behind.
            await eventually(lambda: nothing_waits(declared), PATIENCE_S * max(1, ledger.size()))
            for start in range(0, len(jobs), 1000):
                some = jobs[start : start + 1000]
                assert await results(some, PATIENCE_S) == [
                    n % 30 for n in range(start, start + len(some))
                ]
        ledger.note(cancelled_workers=ledger.times(BURSTS))
        infos = [await job.info() for job in jobs]
        assert {(one.attempts, one.crashes) for one in infos} == {(1, 0)}
    await declared.close()
    await eventually(lambda: asyncio.all_tasks() <= before)
    await eventually(lambda: "rqueue-heartbeat" not in {one.name for one in threading.enumerate()})


async def nobody_holds(app: App) -> bool:
    (queue,) = await app.inspector.queues("default")
    return queue.running == 0


@pytest.mark.parametrize("reads", [1, 2])
async def test_a_caller_cancelled_while_it_connects_leaves_no_half_greeted_connection(
    reads: int,
) -> None:
    with Server(tcp=True) as server, Network(server.url) as network:
        network.weather = Weather(delay_s=(0.02, 0.02))
        transport = AsyncTransport(StoreConfig(url=network.url.replace("/0", "/1")))
        pool: Any = transport._pool
        kind, seen, words = pool.connection_class, list[int](), Call(("ECHO",), ("a",), (), bytes)

        class Cancelling(kind):
            async def read_response(self, *args: Any, **kwargs: Any) -> Any:
                seen.append(1)
                if len(seen) == reads:
                    first.cancel()
                return await super().read_response(*args, **kwargs)

        pool.connection_class = Cancelling
        first = asyncio.create_task(transport.send(words))
        await asyncio.wait({first})
        assert first.cancelled()

        assert await transport.send(Call(("ECHO",), ("b",), (), bytes)) == b"b"
        assert b"db=1" in await transport.send(Call(("CLIENT", "INFO"), (), (), bytes))
        await transport.close()
