"""F34: every public coroutine is cancelled at random points; nothing is mixed up, lost or left."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from rqueue import Job, results
from rqueue.app import App
from rqueue.config import StoreConfig
from rqueue.store.call import Call
from rqueue.store.connection import POOL_SIZE, pack_words
from rqueue.store.transport import AsyncTransport
from rqueue.worker.scheduler import Scheduler
from tests.faults import ledger
from tests.faults.acts import (
    Act,
    Producer,
    calls,
    public_coroutines,
    run_scheduler,
    run_worker,
)
from tests.faults.network import Network, Weather
from tests.support.servers import FLAVOURS, Server
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import SHORT, scheduling, working

pytestmark = pytest.mark.fault

CANCELLATIONS = 500
AT_ONCE = 2 * POOL_SIZE
"""More than there are connections, so that some are cancelled while they wait for one."""
ORPHANED_S = 3.0
BURSTS = 40


@pytest.fixture(scope="module", params=FLAVOURS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that can promise all that a durable enqueue asks of one alone."""
    data = tmp_path_factory.mktemp("data")
    with Server(request.param, data_dir=data, appendfsync="always") as server:
        yield server.url


async def cancelled_after(turns: int, act: Act) -> bool:
    """Start it, cancel it after so many turns of the loop; whether that was in time."""
    return await is_cancelled_after(turns, asyncio.create_task(act()))


async def is_cancelled_after(turns: int, task: asyncio.Task[Any]) -> bool:
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


def connections(redis: Redis) -> set[str]:
    """The server's numbers of all connections of rqueue."""
    listed: Any = redis.client_list()
    return {one["id"] for one in listed if one["name"] == "rqueue"}


async def test_every_public_coroutine_is_among_those_that_are_cancelled(
    declared: App, chance: random.Random
) -> None:
    producer = Producer(declared, chance)
    async with working(declared), scheduling(declared):
        await producer.enqueue_many()
        await producer.schedule_all()
        with calls() as seen:
            for act in producer.acts:
                await act()
            await run_worker(declared)
            await run_scheduler(declared)

    public = public_coroutines(declared)
    assert [name for name, code in public.items() if code not in seen] == []


async def test_cancelled_callers_mix_up_lose_and_leave_nothing(
    declared: App, chance: random.Random, redis: Redis
) -> None:
    before, connected = asyncio.all_tasks(), connections(redis)
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
        await eventually(lambda: nothing_is_ready(declared), backlog_s())
        await eventually(lambda: nothing_waits(declared), ORPHANED_S)
        for guest in producer.guests:
            await guest.close()
        await eventually(lambda: names(asyncio.all_tasks() - at_work) <= {"rqueue-results"})
        assert await results(producer.jobs, PATIENCE_S)
    await declared.close()
    await eventually(lambda: asyncio.all_tasks() <= before)
    await eventually(lambda: connections(redis) <= connected)


async def every_connection_answers_with_its_own_word(app: App) -> None:
    here = app.connections.here()
    wires = here.transport._wires
    # A trip goes on without its cancelled callers, for as long as their durability may take.
    await eventually(lambda: wires._room._value == POOL_SIZE, ORPHANED_S)
    assert len(wires._shared) <= POOL_SIZE
    for n, wire in enumerate([*wires._shared, *wires._idle]):
        if not wire.is_lost:
            assert await wire.ask(pack_words(["ECHO", f"word-{n}"]), 5) == f"word-{n}".encode()
    assert here.listener._waits == {}
    assert [one._waiting for one in here._coalescers.values()] == [[]] * len(here._coalescers)


def backlog_s() -> float:
    """How long a worker may take for what was sent: at length there are tens of thousands."""
    return PATIENCE_S * max(1, ledger.size())


async def nothing_is_ready(app: App) -> bool:
    (queue,) = await app.inspector.queues("default")
    return queue.ready == {}


async def nothing_waits(app: App) -> bool:
    (queue,) = await app.inspector.queues("default")
    return queue.running == queue.scheduled == 0 and queue.ready == {}


SERVING = ("rqueue-serve", "rqueue-promoter", "rqueue-ticker", "rqueue-pruner")
"""How the tasks of a scheduler begin, which serves a queue from when it finds it."""


def names(tasks: set[asyncio.Task[Any]]) -> set[str]:
    """Of those that go on, but for what a scheduler does."""
    going = {task.get_name() for task in tasks if not task.done()}
    return {name for name in going if not name.startswith(SERVING)}


async def test_cancelled_workers_lose_and_leave_nothing(
    declared: App, chance: random.Random, redis: Redis
) -> None:
    before, connected = asyncio.all_tasks(), connections(redis)
    jobs: list[Job[Any]] = []
    async with scheduling(declared):
        at_work = asyncio.all_tasks()
        for _ in range(ledger.times(BURSTS)):
            answer = declared.tasks.get("answer")
            jobs += await declared.enqueue_many(answer.call(n) for n in range(30))
            await cancelled_after(turns(chance), lambda: run_worker(declared))
        await eventually(lambda: nobody_holds(declared), ORPHANED_S)
        await eventually(lambda: names(asyncio.all_tasks() - at_work) == set())
        async with working(declared):
            await eventually(lambda: nothing_waits(declared), backlog_s())
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
    await eventually(lambda: "rqueue-heartbeat" not in threads())
    await eventually(lambda: connections(redis) <= connected)


async def nobody_holds(app: App) -> bool:
    (queue,) = await app.inspector.queues("default")
    return queue.running == 0


def threads() -> set[str]:
    return {one.name for one in threading.enumerate()}


async def test_cancelled_schedulers_lose_and_leave_nothing(
    declared: App, chance: random.Random, redis: Redis
) -> None:
    """Half of them had been told to stop, and are cancelled while they do."""
    before, connected = asyncio.all_tasks(), connections(redis)
    jobs: list[Job[Any]] = []
    delayed = declared.tasks.get("answer").options(delay=0.02)
    async with working(declared):
        for turn in range(ledger.times(BURSTS)):
            jobs += await declared.enqueue_many(delayed.call(n) for n in range(5))
            is_told = bool(turn % 2)
            await cancelled_after(
                turns(chance), lambda told=is_told: run_scheduler(declared, is_told=told)
            )
        ledger.note(cancelled_schedulers=ledger.times(BURSTS))
        async with scheduling(declared):
            assert await results(jobs, PATIENCE_S) == [n % 5 for n in range(len(jobs))]
        infos = [await job.info() for job in jobs]
        assert {(one.attempts, one.crashes) for one in infos} == {(1, 0)}
    await declared.close()
    await eventually(lambda: asyncio.all_tasks() <= before)
    await eventually(lambda: "rqueue-reaper" not in threads())
    await eventually(lambda: connections(redis) <= connected)


async def test_a_scheduler_that_is_cancelled_while_it_stops_has_stopped(
    declared: App, redis: Redis
) -> None:
    before, connected = asyncio.all_tasks(), connections(redis)
    for turns_before in range(16):
        scheduler = Scheduler(declared, (), SHORT)
        running = asyncio.create_task(scheduler.run())
        async with asyncio.timeout(PATIENCE_S):
            await scheduler.ready.wait()
        scheduler.stop()
        await is_cancelled_after(turns_before, running)
        assert "rqueue-reaper" not in threads()
    await declared.close()
    await eventually(lambda: asyncio.all_tasks() <= before)
    await eventually(lambda: connections(redis) <= connected)


@pytest.mark.parametrize("turns_before", range(8))
async def test_an_app_whose_close_was_cancelled_has_hung_up_when_it_is_closed_again(
    declared: App, redis: Redis, turns_before: int
) -> None:
    before, connected = asyncio.all_tasks(), connections(redis)
    async with working(declared):
        await (await declared.send("answer", 1)).result(PATIENCE_S)
        was_cancelled = await cancelled_after(turns_before, declared.close)
        await declared.close()
    assert was_cancelled or turns_before > 1
    await eventually(lambda: asyncio.all_tasks() <= before)
    await eventually(lambda: connections(redis) <= connected)


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
