"""Many jobs at once: few trips, every job answered on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.clock import now_ms
from rqueue.errors import (
    ConfigError,
    Conflict,
    CorruptKey,
    InvalidArguments,
    PartlyRefused,
    PayloadTooLarge,
)
from rqueue.handle import Job
from rqueue.store.call import Call
from rqueue.store.keys import QueueKeys
from rqueue.store.scripts import ENQUEUE
from rqueue.store.transport import AsyncTransport, Transport
from rqueue.task import Task
from tests.support.proxy import Proxy
from tests.support.queue_state import QueueState, read_state
from tests.support.servers import only_valkey
from tests.support.waiting import eventually

Add = Task[[int], int]
Look = Callable[[], QueueState]


@pytest.fixture
def add(app: App) -> Add:
    @app.task
    async def add(a: int) -> int:
        return a

    return add


class Trips:
    """How many jobs each trip of the enqueue script carried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        exchange, exchange_sync = AsyncTransport._exchange, Transport._exchange

        async def recorded(transport: AsyncTransport, calls: Sequence[Call[Any]]) -> list[Any]:
            self._note(calls)
            return await exchange(transport, calls)

        def recorded_sync(transport: Transport, calls: Sequence[Call[Any]]) -> list[Any]:
            self._note(calls)
            return exchange_sync(transport, calls)

        monkeypatch.setattr(AsyncTransport, "_exchange", recorded)
        monkeypatch.setattr(Transport, "_exchange", recorded_sync)

    def _note(self, calls: Sequence[Call[Any]]) -> None:
        self.sizes += [(len(call.keys) - 9) // 2 for call in calls if call.script is ENQUEUE]


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Trips:
    return Trips(monkeypatch)


@pytest.fixture
def look(redis: Redis, namespace: str) -> Look:
    return lambda: read_state(redis, QueueKeys(namespace, "default"))


def lengths(redis: Redis, namespace: str, *queues: str) -> list[Any]:
    return [redis.xlen(f"{namespace}:{{{queue}}}:stream:normal") for queue in queues]


async def test_many_jobs_take_a_trip_for_each_500(
    app: App, add: Add, trips: Trips, redis: Redis, namespace: str
) -> None:
    jobs = await app.enqueue_many(add.call(n) for n in range(1234))

    assert trips.sizes == [500, 500, 234]
    assert [job.status for job in jobs] == ["accepted"] * 1234
    assert len({job.id for job in jobs}) == 1234
    assert lengths(redis, namespace, "default") == [1234]


def test_blocking_code_does_the_same(
    app: App, add: Add, trips: Trips, redis: Redis, namespace: str
) -> None:
    jobs = app.enqueue_many_sync([add.call(n) for n in range(501)])

    assert (len(jobs), trips.sizes, lengths(redis, namespace, "default")) == (501, [500, 1], [501])


async def test_jobs_of_several_queues_keep_their_order(app: App, add: Add, trips: Trips) -> None:
    calls = [add.options(queue=f"q{n % 3}", job_id=f"j{n}").call(n) for n in range(9)]

    jobs = await app.enqueue_many(calls)

    assert [(job.id, job.queue) for job in jobs] == [(f"j{n}", f"q{n % 3}") for n in range(9)]
    assert trips.sizes == [3, 3, 3]


BOTH_FACES = pytest.mark.parametrize("blocking", [True, False])


@BOTH_FACES
async def test_each_job_of_one_trip_has_its_own_time(
    app: App, add: Add, trips: Trips, look: Look, blocking: bool
) -> None:
    moment = datetime(2040, 1, 1, tzinfo=UTC)
    options: list[Any] = [{}, {"run_at": moment}, {"delay": "1h"}, {"delay": 7200}]
    calls = [add.options(job_id=f"j{n}", **one).call(n) for n, one in enumerate(options)]
    before = now_ms()

    if blocking:
        app.enqueue_many_sync(calls)
    else:
        await app.enqueue_many(calls)

    state = look()
    assert trips.sizes == [4]
    assert [job for job, told in state.records.items() if told["state"] == "queued"] == ["j0"]
    assert state.schedule.pop("j1") == int(moment.timestamp() * 1000)
    # The clock of the server is this machine's.
    assert state.schedule.keys() == {"j2", "j3"}
    assert before + 3_600_000 <= state.schedule["j2"] <= now_ms() + 3_600_000
    assert state.schedule["j3"] == state.schedule["j2"] + 3_600_000


@BOTH_FACES
@pytest.mark.parametrize("spread", ["10m", 600, timedelta(minutes=10)])
async def test_jobs_become_due_evenly_over_a_span(
    app: App, add: Add, trips: Trips, look: Look, spread: Any, blocking: bool
) -> None:
    calls = [add.options(job_id=f"j{n}").call(n) for n in range(5)]

    if blocking:
        app.enqueue_many_sync(calls, spread=spread)
    else:
        await app.enqueue_many(calls, spread=spread)

    state = look()
    first = state.schedule["j1"]
    assert trips.sizes == [5]
    assert state.records["j0"]["state"] == "queued"
    assert state.schedule == {f"j{n}": first + (n - 1) * 150_000 for n in (1, 2, 3, 4)}
    assert abs(first - now_ms() - 150_000) < 60_000


async def test_a_span_begins_at_the_time_that_a_call_says(app: App, add: Add, look: Look) -> None:
    moment = datetime(2040, 1, 1, tzinfo=UTC)
    calls = [add.options(job_id=f"j{n}", run_at=moment).call(n) for n in range(3)]

    await app.enqueue_many(calls, spread=10)

    at = int(moment.timestamp() * 1000)
    state = look()
    assert state.schedule == {"j0": at, "j1": at + 5000, "j2": at + 10_000}


async def test_spread_jobs_that_are_sent_again_are_the_same(app: App, add: Add) -> None:
    calls = [add.call(n) for n in range(3)]
    await app.enqueue_many(calls, spread="1h")

    again = await app.enqueue_many(calls, spread="2h")

    assert [job.status for job in again] == ["duplicate"] * 3


@pytest.mark.parametrize("spread", ["soon", -1, float("nan"), True, None, "5000d"])
async def test_a_span_that_is_none_is_refused(
    app: App, add: Add, trips: Trips, spread: Any
) -> None:
    with pytest.raises(ConfigError):
        await app.enqueue_many([add.call(1)], spread=spread)
    with pytest.raises(ConfigError):
        app.enqueue_many_sync([add.call(1)], spread=spread)

    assert trips.sizes == []


async def test_nothing_is_nothing(app: App, trips: Trips) -> None:
    assert (await app.enqueue_many([]), app.enqueue_many_sync([]), trips.sizes) == ([], [], [])


async def test_one_job_that_is_too_large_refuses_all_before_anything_is_sent(
    url: str, namespace: str, trips: Trips
) -> None:
    app = App(url, namespace=namespace, max_payload=500)

    @app.task
    async def store(text: str) -> None:
        """Never run."""

    with pytest.raises(PayloadTooLarge):
        await app.enqueue_many([store.call("x"), store.call("x" * 500)])
    with pytest.raises(InvalidArguments):
        await app.enqueue_many([store.call("x"), store.call(1)])  # type: ignore[arg-type]

    assert trips.sizes == []


@pytest.mark.parametrize("blocking", [True, False])
async def test_what_redis_refuses_does_not_hold_up_the_rest(
    app: App, add: Add, blocking: bool
) -> None:
    await add.options(job_id="b").enqueue(0)
    calls = [add.options(job_id=name).call(1) for name in "abc"]

    with pytest.raises(PartlyRefused, match="1 of 3 jobs were refused") as refused:
        app.enqueue_many_sync(calls) if blocking else await app.enqueue_many(calls)

    first, second, third = refused.value.outcomes
    assert isinstance(first, Job)
    assert isinstance(second, Conflict)
    assert isinstance(third, Job)
    assert (first.id, third.id) == ("a", "c")
    assert (await app.job("c").info()).state == "queued"


async def test_a_queue_with_a_key_of_another_type_does_not_hold_up_the_others(
    app: App, add: Add, redis: Redis, namespace: str
) -> None:
    redis.set(f"{namespace}:{{bad}}:meta", "not ours")

    with pytest.raises(PartlyRefused) as refused:
        await app.enqueue_many([add.options(queue=queue).call(1) for queue in ("bad", "good")])

    assert [type(one) for one in refused.value.outcomes] == [CorruptKey, Job]


async def test_one_id_twice_in_one_call_is_answered_twice(app: App, add: Add) -> None:
    mine = add.options(job_id="x")

    same = await app.enqueue_many([mine.call(1), mine.call(1)])
    with pytest.raises(PartlyRefused) as refused:
        await app.enqueue_many([add.options(job_id="y").call(n) for n in (1, 2)])

    assert [job.status for job in same] == ["accepted", "duplicate"]
    assert [type(one) for one in refused.value.outcomes] == [Job, Conflict]


@only_valkey
async def test_concurrent_enqueues_share_trips(app: App, add: Add, trips: Trips) -> None:
    await add.enqueue(0)
    trips.sizes.clear()

    jobs = await asyncio.gather(*(add.enqueue(n) for n in range(1001)))

    assert len({job.id for job in jobs}) == 1001
    assert sum(trips.sizes) == 1001
    # The first goes at once; what came meanwhile goes together.
    assert len(trips.sizes) <= 4


@only_valkey
async def test_those_of_one_turn_do_not_wait_for_the_answer_to_the_first(
    url: str, namespace: str, trips: Trips
) -> None:
    with Proxy(url) as proxy:
        app = App(proxy.url, namespace=namespace)
        await app.send("add", 0)
        trips.sizes.clear()
        proxy.stall()

        callers = [asyncio.create_task(app.send("add", n)) for n in range(10)]
        await eventually(lambda: len(trips.sizes) == 2)
        proxy.mend()

        assert [job.status for job in await asyncio.gather(*callers)] == ["accepted"] * 10
        assert trips.sizes == [1, 9]
        await app.close()


@only_valkey
async def test_a_lonely_enqueue_does_not_wait_for_company(app: App, add: Add, trips: Trips) -> None:
    for n in range(3):
        await add.enqueue(n)

    assert trips.sizes == [1, 1, 1]


@only_valkey
async def test_a_cancelled_caller_does_not_cancel_the_trip_of_the_others(
    app: App, add: Add, trips: Trips
) -> None:
    await add.enqueue(0)
    callers = [asyncio.create_task(add.options(job_id=f"j{n}").enqueue(n)) for n in range(10)]
    await asyncio.sleep(0)  # each has handed in its job
    for caller in callers[::2]:
        caller.cancel()

    ended = await asyncio.gather(*callers, return_exceptions=True)

    assert [type(one) for one in ended] == [asyncio.CancelledError, Job] * 5
    # The jobs of those that gave up were on their way with the others.
    assert sum(trips.sizes) == 11
    assert [(await app.job(f"j{n}").info()).state for n in range(10)] == ["queued"] * 10


@only_valkey
async def test_a_refusal_reaches_only_the_caller_it_is_for(app: App, add: Add) -> None:
    await add.options(job_id="taken").enqueue(0)

    ended = await asyncio.gather(
        add.options(job_id="a").enqueue(1),
        add.options(job_id="taken").enqueue(1),
        add.options(job_id="b").enqueue(1),
        return_exceptions=True,
    )

    assert [type(one) for one in ended] == [Job, Conflict, Job]


async def test_a_call_that_stands_twice_in_a_batch_is_refused(app: App) -> None:
    @app.task
    async def ping() -> None: ...

    call = ping.call()

    with pytest.raises(InvalidArguments, match="make one for each job"):
        await app.enqueue_many([call, call])


async def test_a_call_that_is_sent_again_makes_no_second_job(app: App) -> None:
    @app.task
    async def ping() -> None: ...

    call = ping.call()
    first, again = await app.enqueue(call), await app.enqueue(call)

    assert (first.status, again.status, first) == ("accepted", "duplicate", again)
