"""Floods, full memory and large payloads: bounds hold, and what is there still drains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import pytest
from redis import Redis

from rqueue import App, QueueShare, StoreFull, results
from rqueue.errors import PartlyRefused, PayloadTooLarge
from rqueue.handle import Job
from rqueue.store.keys import LANES, QueueKeys
from tests.faults import ledger
from tests.support.owned import own, redis
from tests.support.queue_state import read_state
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import scheduling, working

__all__ = ["own", "redis"]

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
KEYS = QueueKeys("rqueue", "default")
MIB = 1024 * 1024
PRODUCERS = 4
CAP = 50
HELD = """
local waiting = 0
for n = 1, 7 do waiting = waiting + redis.call('XLEN', KEYS[n]) end
return {waiting, redis.call('ZCARD', KEYS[8])}
"""


@pytest.fixture
async def app(own: Server) -> AsyncIterator[App]:
    app = App(own.url)

    @app.task
    async def add(a: int) -> int:
        return a

    yield app
    await app.close()


class Sampler:
    """Looks at a queue without a pause, from a thread: the most that ever waited, and was due."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._stop = Event()
        self._thread = Thread(target=self._run)
        self.looks = self.waiting = self.scheduled = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        look = self._redis.register_script(HELD)
        keys = [*(KEYS.stream(lane) for lane in LANES), KEYS.schedule]
        while not self._stop.is_set():
            told: Any = look(keys=keys)
            self.looks += 1
            self.waiting = max(self.waiting, told[0])
            self.scheduled = max(self.scheduled, told[1])


def flood(url: str, seconds: float) -> subprocess.Popen[str]:
    """A process that sends as much as it can, and says what became of it."""
    return subprocess.Popen(
        [sys.executable, __file__, url, str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def produce(url: str, seconds: float) -> dict[str, int]:
    """What each of these processes does: batches of jobs for now and for later."""
    app = App(url)
    add, later = app.remote("add"), app.remote("add").options(delay=0.05)
    said = {"accepted": 0, "QueueFull": 0}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        calls = [(add, later)[n % 2].call(n) for n in range(30)]
        try:
            outcomes: Any = app.enqueue_many_sync(calls)
        except PartlyRefused as refused:
            outcomes = refused.outcomes
        for one in outcomes:
            kind = one.status if isinstance(one, Job) else type(one).__name__
            said[kind] = said.get(kind, 0) + 1
    return said


async def test_a_flood_of_several_processes_never_exceeds_the_caps(
    app: App, own: Server, redis: Redis
) -> None:
    await app.inspector.limit("default", waiting=CAP, scheduled=CAP)
    other = app.tasks.get("add").options(queue="other")
    # By weight: in order, the flooded one would always come first.
    queues = (QueueShare("default", 2), QueueShare("other", 2))
    async with working(app, queues=queues):
        with Sampler(redis) as sampler:
            floods = [flood(own.url, 10 * ledger.size()) for _ in range(PRODUCERS)]
            while any(one.poll() is None for one in floods):
                # What is capped is one queue: the others go their way meanwhile.
                assert await (await other.enqueue(1)).result(PATIENCE_S) == 1
        said = [json.loads(one.communicate()[0]) for one in floods]
        async with scheduling(app):
            await eventually(lambda: is_drained(app, "default"))

    ledger.note(looks=sampler.looks, **{"accepted jobs": sum(one["accepted"] for one in said)})
    assert (sampler.waiting, sampler.scheduled) == (CAP, CAP)
    assert sampler.looks > 100
    assert [sorted(one) for one in said] == [["QueueFull", "accepted"]] * PRODUCERS
    assert all(one["QueueFull"] > CAP for one in said)
    (queue,) = await app.inspector.queues("default")
    assert queue.counters["enqueue"] == sum(one["accepted"] for one in said) > 2 * CAP


async def is_drained(app: App, queue: str) -> bool:
    (found,) = await app.inspector.queues(queue)
    return found.counters.get("complete") == found.counters["enqueue"]


@contextmanager
def out_of_memory(redis: Redis) -> Iterator[None]:
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


async def test_when_memory_is_full_new_jobs_are_refused_and_the_backlog_drains(
    app: App, redis: Redis
) -> None:
    add = app.tasks.get("add")
    backlog = await app.enqueue_many(add.call(n) for n in range(300))
    later = await add.options(delay=0.01).enqueue(300)
    new = [add.call(0), add.options(delay=9, unique="one").call(1), add.options(queue="q2").call(2)]
    await add.options(queue="q2").enqueue(0)  # its name is in the registry
    before, other = read_state(redis, KEYS), read_state(redis, QueueKeys("rqueue", "q2"))

    with out_of_memory(redis):
        for call in new:
            with pytest.raises(StoreFull):
                await app.enqueue(call)
            with pytest.raises(StoreFull):
                app.enqueue_sync(call)
        with pytest.raises(PartlyRefused) as refused:
            await app.enqueue_many(new)
        assert {type(one) for one in refused.value.outcomes} == {StoreFull}
        # Not half of a job: no record, no entry, no lock, no count.
        assert read_state(redis, KEYS) == before
        assert read_state(redis, QueueKeys("rqueue", "q2")) == other

        async with working(app), scheduling(app):
            await eventually(lambda: is_drained(app, "default"))
            assert await backlog[0].result(PATIENCE_S) == 0
            with pytest.raises(StoreFull):
                await add.enqueue(1)

    assert await results([*backlog, later], PATIENCE_S) == list(range(301))
    assert [job.status for job in await app.enqueue_many(new)] == ["accepted"] * 3


async def test_ten_megabytes_are_refused_by_default_before_anything_is_sent(
    app: App, redis: Redis
) -> None:
    with pytest.raises(PayloadTooLarge, match=r"takes 10,\d+,\d+ bytes, the limit is 262,144"):
        await app.send("length", "x" * 10 * MIB)

    assert redis.keys("*") == []


@pytest.mark.parametrize("blocking", [True, False])
async def test_ten_megabytes_are_refused_by_the_script_where_the_queue_has_a_cap(
    own: Server, redis: Redis, blocking: bool
) -> None:
    app = App(own.url, max_payload=16 * MIB)
    await app.inspector.limit("default", payload=MIB)
    large = app.remote("length").call("x" * 10 * MIB)
    before = read_state(redis, KEYS)

    with pytest.raises(PayloadTooLarge, match=r"takes 10,\d+,\d+ bytes, the cap of queue"):
        app.enqueue_sync(large) if blocking else await app.enqueue(large)

    assert read_state(redis, KEYS) == before
    assert (await app.remote("length").enqueue("")).status == "accepted"
    await app.close()


async def test_ten_megabytes_of_another_producer_are_dead_and_run_where_they_are_allowed(
    own: Server, redis: Redis
) -> None:
    apps = [App(own.url), App(own.url, max_payload=16 * MIB)]
    for one in apps:

        @one.task
        async def length(text: str) -> int:
            return len(text)

    default, generous = apps
    job = await generous.tasks.get("length").enqueue("x" * 10 * MIB)
    async with working(default):
        assert await job.wait(PATIENCE_S) == "dead"
    info = await job.info()
    assert (info.reason, info.attempts) == ("too_large", 0)
    assert len(info.envelope or b"") > 10 * MIB

    async with working(generous):
        assert (await generous.inspector.requeue("default", [job.id])).count == 1
        assert await job.result(PATIENCE_S) == 10 * MIB
    for one in apps:
        await one.close()


async def test_ten_megabytes_pass_where_they_are_allowed_and_others_are_not_held_up(
    own: Server, redis: Redis
) -> None:
    app = App(own.url, max_payload=16 * MIB)

    @app.task(result_ttl=0)
    async def length(text: str) -> int:
        return len(text)

    @app.task
    async def add(a: int) -> int:
        return a

    async with working(app):
        large = [await length.enqueue("x" * 10 * MIB) for _ in range(ledger.times(5))]
        assert await (await add.enqueue(1)).result(PATIENCE_S) == 1
        states = [await job.wait(PATIENCE_S) for job in large]

    assert states == ["succeeded"] * ledger.times(5)
    # Nothing of the calls is left behind.
    assert (redis.memory_usage(KEYS.stream("normal")) or 0) < MIB
    with pytest.raises(PayloadTooLarge, match="the limit is 16,777,216"):
        await length.enqueue("x" * 16 * MIB)
    await app.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(produce(sys.argv[1], float(sys.argv[2]))))
