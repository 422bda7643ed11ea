"""Fetching: priorities, fairness, queues, slots; never more than can be run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.config import QueueShare, parse_queues
from rqueue.events import JobFinished, JobStarted
from rqueue.job import JobState
from rqueue.names import Priority
from rqueue.store.call import Call
from rqueue.store.keys import GROUP, LANES, QueueKeys
from rqueue.store.scripts import FETCH, FINISH
from rqueue.store.transport import AsyncTransport
from rqueue.worker import fetcher, finisher
from tests.support.servers import only_valkey
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import burst, working

pytestmark = only_valkey


class Gate:
    """Jobs that wait at it, and what came through."""

    def __init__(self, app: App) -> None:
        self.passed: list[str] = []
        self.inside = self.most = 0
        self.open = asyncio.Event()

        @app.task
        async def note(name: str) -> None:
            self.passed.append(name)

        @app.task
        async def wait(name: str) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.open.wait()
            self.inside -= 1
            self.passed.append(name)

        self.note, self.wait = note, wait


@pytest.fixture
def gate(app: App) -> Gate:
    return Gate(app)


def pending(redis: Redis, namespace: str, queue: str = "default") -> int:
    keys, count = QueueKeys(namespace, queue), 0
    for lane in LANES:
        if redis.exists(keys.stream(lane)):
            told: Any = redis.xpending(keys.stream(lane), GROUP)
            count += told["pending"]
    return count


async def test_jobs_of_one_priority_run_in_their_order(app: App, gate: Gate) -> None:
    await app.enqueue_many(gate.note.call(str(n)) for n in range(50))

    await burst(app, concurrency=1)

    assert gate.passed == [str(n) for n in range(50)]


async def test_strict_priorities_run_from_the_top(app: App, gate: Gate) -> None:
    names = ("low", "normal", "high", "critical")
    calls = [gate.note.options(priority=p).call(p) for p in names for _ in range(10)]
    await app.enqueue_many(calls)

    await burst(app, concurrency=1, fairness=0)

    assert gate.passed == [p for p in reversed(names) for _ in range(10)]


async def test_one_fetch_in_n_takes_from_the_bottom(app: App, gate: Gate) -> None:
    calls = [gate.note.options(priority=p).call(p) for p in ("high", "low") for _ in range(60)]
    await app.enqueue_many(calls)

    await burst(app, concurrency=1, fairness=5)

    # While both lanes held jobs: one in five was of the lower.
    first = Counter(gate.passed[:50])
    assert first == {"high": 40, "low": 10}
    assert len(gate.passed) == 120


async def test_a_worker_never_takes_more_than_it_has_slots_for(
    app: App, gate: Gate, redis: Redis, namespace: str
) -> None:
    await app.enqueue_many(
        gate.wait.options(priority=p).call(p) for p in ("high", "normal", "low") for _ in range(20)
    )

    async with working(app, concurrency=7):
        await eventually(lambda: gate.inside == 7)
        # One more look of the worker would take more now, if it ever did.
        await gate.note.options(priority="critical").enqueue("vip")
        assert pending(redis, namespace) == 7
        gate.open.set()
        await eventually(lambda: len(gate.passed) == 61)

    assert gate.most == 7


async def test_a_worker_asks_for_half_of_its_slots_at_a_time_until_all_are_taken(
    app: App, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one half is at work while the other is on its way."""
    asked, send = list[Any](), AsyncTransport.send

    async def noted(transport: AsyncTransport, call: Any, *args: Any) -> Any:
        asked.extend([call.args[1]] if call.script is FETCH else [])
        return await send(transport, call, *args)

    await app.enqueue_many(gate.wait.call(str(n)) for n in range(20))
    monkeypatch.setattr(AsyncTransport, "send", noted)

    async with working(app, concurrency=7):
        await eventually(lambda: gate.inside == 7)
        assert asked == [4, 3]
        gate.open.set()
        await eventually(lambda: len(gate.passed) == 20)

    assert (max(asked), gate.most) == (4, 7)


async def test_a_blocked_read_that_brings_one_entry_of_each_lane_overfills_nobody(
    app: App, gate: Gate, redis: Redis, namespace: str
) -> None:
    """COUNT is per stream: several jobs may arrive in one answer for a single free slot."""
    async with working(app, concurrency=1):
        async with redis_transaction(redis) as pipe:
            for priority in ("critical", "high", "normal", "low"):
                key = QueueKeys(namespace, "default").stream(priority)
                pipe.xadd(key, {"m": b'{"task": "wait", "args": ["x"]}'})
        await eventually(lambda: gate.inside == 1)
        gate.open.set()
        await eventually(lambda: len(gate.passed) == 4)

    assert gate.most == 1


class redis_transaction:  # noqa: N801 - used like a function
    """Several commands at once, so that a blocked reader sees all of them."""

    def __init__(self, redis: Redis) -> None:
        self._pipe = redis.pipeline(transaction=True)

    async def __aenter__(self) -> Any:
        return self._pipe

    async def __aexit__(self, *_: object) -> None:
        self._pipe.execute()


async def test_queues_are_served_in_their_order(app: App, gate: Gate) -> None:
    calls = [gate.note.options(queue=q).call(q) for q in ("c", "b", "a") for _ in range(5)]
    await app.enqueue_many(calls)

    await burst(app, concurrency=1, queues=parse_queues("a,b,c"))

    assert gate.passed == [q for q in "abc" for _ in range(5)]


async def test_queues_are_served_by_their_weight(app: App, gate: Gate) -> None:
    calls = [gate.note.options(queue=q).call(q) for q in ("a", "b") for _ in range(300)]
    await app.enqueue_many(calls)

    await burst(app, concurrency=1, queues=parse_queues("a:4,b:1"))

    # While both held jobs: 4 of 5 were of the first; 300 of it leave room for 75 of the other.
    among = Counter(gate.passed[:200])
    assert among["a"] == pytest.approx(160, abs=30)
    assert len(gate.passed) == 600


async def test_a_worker_serves_only_its_queues(app: App, gate: Gate) -> None:
    other = await gate.note.options(queue="other").enqueue("other")
    await gate.note.enqueue("mine")

    await burst(app)

    assert gate.passed == ["mine"]
    assert (await other.info()).state == JobState.QUEUED


async def test_a_worker_that_waits_hears_of_a_job_in_any_queue_and_lane(
    app: App, gate: Gate
) -> None:
    ears = Ears(app)
    async with working(app, queues=(QueueShare("a"), QueueShare("b"))):
        sent: list[tuple[str, Priority]] = [("a", "low"), ("b", "critical"), ("b", "low")]
        for n, (queue, priority) in enumerate(sent, 1):
            await gate.note.options(queue=queue, priority=priority).enqueue(queue)
            await ears.hears(JobFinished, n)

    assert gate.passed == ["a", "b", "b"]


async def test_a_paused_queue_is_left_alone_until_it_is_resumed(app: App, gate: Gate) -> None:
    async with working(app, queues=parse_queues("default,other")) as worker:
        assert await app.inspector.pause("default") == "paused"
        assert await app.inspector.pause("default") == "already"
        await eventually(lambda: worker._membership.of("default").is_paused)
        waiting = await gate.note.enqueue("paused")
        other = await gate.note.options(queue="other").enqueue("other")
        await other.wait(PATIENCE_S)
        assert (await waiting.info()).state == JobState.QUEUED
        assert (await app.inspector.queues("default"))[0].is_paused

        assert await app.inspector.resume("default") == "resumed"
        assert await app.inspector.resume("default") == "already"
        await waiting.wait(PATIENCE_S)

    assert gate.passed == ["other", "paused"]


async def test_a_queue_that_was_paused_before_the_worker_came_is_left_alone(
    app: App, gate: Gate
) -> None:
    app.inspector_sync.pause("default")
    job = await gate.note.enqueue("x")

    assert await burst(app)
    assert gate.passed == []

    async with working(app):
        app.inspector_sync.resume("default")
        await job.wait(PATIENCE_S)


async def test_what_runs_when_a_queue_is_paused_goes_on(app: App, gate: Gate) -> None:
    job = await gate.wait.enqueue("x")
    async with working(app):
        await eventually(lambda: gate.inside == 1)
        await app.inspector.pause("default")
        gate.open.set()
        assert await job.wait(PATIENCE_S) == JobState.SUCCEEDED


def blocked(redis: Redis) -> int:
    """Clients whose reads wait."""
    told: Any = redis.info("clients")
    return told["blocked_clients"]


async def test_entries_of_a_lost_answer_are_started_by_the_worker_they_were_given_to(
    app: App, gate: Gate, redis: Redis, namespace: str
) -> None:
    """The server gave them to this consumer, the answer never arrived."""
    stream = QueueKeys(namespace, "default").stream("normal")
    async with working(app) as worker:
        (me,) = worker.worker_ids
        await app.inspector.pause("default")  # so that the worker does not take it itself
        await eventually(lambda: worker._membership.of("default").is_paused)
        await eventually(lambda: blocked(redis) == 0)
        jobs = [await gate.note.enqueue(name) for name in ("a", "b")]
        taken: Any = redis.xreadgroup(GROUP, me, {stream: ">"}, count=2)
        assert len(taken[0][1]) == 2
        await app.inspector.resume("default")

        assert [await job.wait(PATIENCE_S) for job in jobs] == ["succeeded", "succeeded"]
        assert [(await job.info()).worker for job in jobs] == [me, me]

    assert sorted(gate.passed) == ["a", "b"]


async def test_entries_of_a_lost_answer_are_found_behind_endings_that_wait_for_a_repair(
    app: App, gate: Gate, redis: Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pending is listed by age, and those endings are older."""
    monkeypatch.setattr(fetcher, "_MOST_PER_FETCH", 2)
    keys = QueueKeys(namespace, "default")
    redis.set(keys.waiters, "of a wrong type")
    async with working(app, concurrency=1) as worker:
        (me,) = worker.worker_ids
        jobs = [await gate.note.enqueue(str(n)) for n in range(4)]
        await eventually(lambda: len(worker._running.unsettled.all()) == 4)
        await app.inspector.pause("default")  # so that the worker does not take it itself
        await eventually(lambda: worker._membership.of("default").is_paused)
        await eventually(lambda: blocked(redis) == 0)
        jobs.append(await gate.note.enqueue("lost"))
        redis.xreadgroup(GROUP, me, {keys.stream("normal"): ">"}, count=1)
        await app.inspector.resume("default")

        await eventually(lambda: "lost" in gate.passed)
        redis.delete(keys.waiters)
        assert [await job.wait(PATIENCE_S) for job in jobs] == ["succeeded"] * 5


async def test_fetching_goes_on_as_soon_as_endings_are_written(
    app: App, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held back while many wait, however short their jobs and many the slots."""
    monkeypatch.setattr(fetcher, "_MOST_UNWRITTEN", 4)
    monkeypatch.setattr(fetcher, "_PATIENCE_S", 60 * PATIENCE_S)
    monkeypatch.setattr(finisher, "BATCH", 2)
    names = [str(n) for n in range(200)]
    await app.enqueue_many(map(gate.note.call, names))

    await burst(app, concurrency=100)

    assert sorted(gate.passed) == sorted(names)


async def test_groups_that_somebody_destroyed_are_made_again(
    app: App, gate: Gate, redis: Redis, namespace: str
) -> None:
    keys = QueueKeys(namespace, "default")
    async with working(app):
        await (await gate.note.enqueue("before")).wait(PATIENCE_S)
        redis.delete(*(keys.stream(lane) for lane in LANES))
        job = await gate.note.enqueue("after")
        assert await job.wait(PATIENCE_S) == JobState.SUCCEEDED
        redis.xgroup_destroy(keys.stream("high"), GROUP)
        job = await gate.note.options(priority="high").enqueue("again")
        assert await job.wait(PATIENCE_S) == JobState.SUCCEEDED


async def test_a_job_runs_once_however_many_workers_want_it(app: App, gate: Gate) -> None:
    ears = Ears(app)
    async with working(app, concurrency=3), working(app, concurrency=3), working(app):
        await app.enqueue_many(gate.note.call(str(n)) for n in range(300))
        await ears.hears(JobFinished, 300)

    assert sorted(gate.passed) == sorted(str(n) for n in range(300))
    workers = {one.worker for one in ears.of(JobStarted)}
    assert len(workers) > 1


OF_THE_QUEUE = len(QueueKeys("rqueue", "default").of_finish)
"""Keys of a finish that are no job's."""


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many endings each finish script carried."""
    sizes: list[int] = []
    exchange = AsyncTransport._exchange

    async def recorded(transport: AsyncTransport, calls: Sequence[Call[Any]]) -> list[Any]:
        sizes.extend(len(call.keys) - OF_THE_QUEUE for call in calls if call.script is FINISH)
        return await exchange(transport, calls)

    monkeypatch.setattr(AsyncTransport, "_exchange", recorded)
    return sizes


async def test_endings_that_come_together_are_written_together(
    app: App, gate: Gate, trips: list[int]
) -> None:
    await app.enqueue_many(gate.wait.call(str(n)) for n in range(100))
    async with working(app, concurrency=100):
        await eventually(lambda: gate.inside == 100)
        gate.open.set()
        await eventually(lambda: sum(trips) == 100)

    # The first goes at once; what ended meanwhile goes together.
    assert len(trips) <= 5


async def test_a_lonely_ending_is_written_at_once(app: App, gate: Gate, trips: list[int]) -> None:
    async with working(app):
        for name in "abc":
            await (await gate.note.enqueue(name)).wait(PATIENCE_S)

    assert trips == [1, 1, 1]
