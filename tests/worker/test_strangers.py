"""What strangers write into the streams: sound calls run, hostile ones rest in the dead set."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from redis import Redis

from rqueue import Context, Retry, Worker
from rqueue.app import App
from rqueue.clock import now_ms
from rqueue.events import JobFinished
from rqueue.ids import shorten
from rqueue.job import JobInfo
from rqueue.store.keys import queue_keys
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import scheduling, working


class Street:
    """A worker, and a stranger who writes into its streams with a plain Redis client."""

    def __init__(self, app: App, redis: Redis, worker: Worker) -> None:
        self.app, self.redis, self.worker = app, redis, worker
        self.ears = Ears(app)

    def add(self, lane: str = "normal", /, **fields: Any) -> str:
        key = f"{self.app.store.namespace}:{{default}}:stream:{lane}"
        told: Any = fields
        entry: Any = self.redis.xadd(key, told)
        return entry.decode()

    async def dead(self, count: int = 1) -> list[JobInfo]:
        """Dead letters, once there are so many."""

        async def look() -> list[JobInfo]:
            found = await self.app.inspector.dead("default")
            return found if len(found) >= count else []

        return await eventually(look)

    async def nothing_pends(self) -> None:
        async def look() -> bool:
            (queue,) = await self.app.inspector.queues("default")
            return queue.running == 0 and queue.ready == {}

        await eventually(look)

    async def still_works(self) -> None:
        """The same worker runs the next job, and nothing is left behind."""
        before = self.worker.worker_ids
        job = await self.app.tasks.get("add").enqueue(20, 22)
        assert await job.result(PATIENCE_S) == 42
        await self.nothing_pends()
        assert self.worker.worker_ids == before


@pytest.fixture
async def street(app: App, redis: Redis) -> AsyncIterator[Street]:
    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    @app.task
    async def whoami(ctx: Context) -> tuple[str, str, int]:
        return ctx.job_id, ctx.queue, ctx.fencing_token

    async with working(app) as worker:
        yield Street(app, redis, worker)


def packed(**told: Any) -> bytes:
    return msgspec.msgpack.encode(told)


@pytest.mark.parametrize("encode", [msgspec.msgpack.encode, lambda told: json.dumps(told).encode()])
@pytest.mark.parametrize("call", [{"args": [20, 22]}, {"kwargs": {"a": 20, "b": 22}}])
async def test_a_plain_call_runs(street: Street, encode: Any, call: Any) -> None:
    street.add(i="theirs", m=encode({"task": "add", **call}))

    async def look() -> int | None:
        info = await street.app.inspector.find("theirs")
        return info and info.state == "succeeded" and await street.app.job("theirs").result(0)

    await street.app.inspector.queues("default")
    await street.app.connections.announce("default")
    assert await eventually(look) == 42
    info = await street.app.job("theirs").info()
    assert (info.task, info.attempts) == ("add", 1)
    await street.still_works()


async def test_a_call_without_an_id_gets_one(street: Street) -> None:
    entry = street.add("high", m=packed(task="whoami"))
    (finished,) = await street.ears.hears(JobFinished)

    assert (finished.job_id, finished.status) == (f"high-{entry}", "recorded")
    result = await street.app.job(f"high-{entry}").result(0)
    assert result == [f"high-{entry}", "default", 0]
    await street.still_works()


HOSTILE = {
    "no envelope": {"x": "y"},
    "empty": {"m": b""},
    "not msgpack": {"m": b"\xc1"},
    "truncated": {"m": packed(task="add", args=[1, 2])[:-3]},
    "trailing": {"m": packed(task="add", args=[1, 2]) + b"\x80"},
    "huge claim": {"m": b"\xdf\xff\xff\xff\xff"},
    "deep": {"m": b"\x91" * 50_000},
    "deep arguments": {"m": b"\x82\xa4task\xa3add\xa4args" + b"\x91" * 50_000},
    "no task": {"m": packed(args=[])},
    "newer": {"m": packed(task="add", v=99)},
    "bad json": {"m": b'{"task": "add", "args": [1, }'},
    "timeout nan": {"m": packed(task="add", args=[1, 2], timeout=float("nan"))},
    "timeout huge": {"m": packed(task="add", args=[1, 2], timeout=1e300)},
    "ttl infinite": {"m": packed(task="add", args=[1, 2], result_ttl=float("inf"))},
    "ttl huge": {"m": packed(task="add", args=[1, 2], result_ttl=1e300)},
    "created before time": {"m": packed(task="add", args=[1, 2], created=-(2**62))},
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_an_envelope_that_is_none_is_dead_with_its_bytes(street: Street, name: str) -> None:
    fields: dict[str, Any] = HOSTILE[name]
    street.add(i="bad", **fields)

    (dead,) = await street.dead()

    assert (dead.id, dead.state, dead.reason, dead.attempts) == ("bad", "dead", "decode", 0)
    assert dead.envelope == fields.get("m", b"")
    assert [one.type for one in dead.errors] == ["CodecError"]
    await street.still_works()


@pytest.mark.parametrize(
    "call",
    [
        {"args": []},
        {"args": [1, "x"]},
        {"args": [1, 2, 3]},
        {"args": [1], "kwargs": {"a": 1}},
        {"args": {"a": 1}},
        {"kwargs": []},
        {"args": [1, 2], "kwargs": {"c": 3}},
        {"args": [1, 2**64 - 1, None]},
        {"args": [1, 2], "retry": {"max_attempts": float("nan")}},
        {"args": [1, 2], "retry": {"max_attempts": 0}},
        {"args": [1, 2], "retry": {"nonsense": 1}},
    ],
    ids=str,
)
async def test_arguments_that_do_not_fit_are_dead_without_an_attempt(
    street: Street, call: Any
) -> None:
    street.add(i="bad", m=packed(task="add", **call))

    (dead,) = await street.dead()

    assert (dead.id, dead.reason, dead.attempts, dead.task) == ("bad", "arguments", 0, "add")
    await street.still_works()


@pytest.mark.parametrize(
    "fields",
    [
        {"i": b""},
        {"i": b"\xff\xfe"},
        {"i": b"\xed\xa0\x80"},
        {"i": b"a\0b c\r\n{x}*"},
        {"i": b"x" * 10_000},
        {"i": b"~" + b"!" * 22},
        {"a": b"nan", "n": b"-1", "N": b"x", "p": b"\xff", "x": b"nan"},
        {"a": b"9" * 5000, "n": b"inf"},
        {"a": b"-5", "n": b"1e308"},
    ],
    ids=lambda fields: repr(fields)[:30],
)
async def test_fields_that_make_no_sense_stop_nobody(street: Street, fields: Any) -> None:
    street.add(**fields, m=packed(task="add", args=[1, 2]))

    finished = await street.ears.hears(JobFinished)

    assert [(one.ending, one.status) for one in finished] == [("complete", "recorded")]
    await street.still_works()


async def test_an_entry_with_our_token_and_no_record_is_an_orphan(street: Street) -> None:
    street.add(i="lost", t="1", m=packed(task="add", args=[1, 2]))

    (dead,) = await street.dead()

    assert (dead.id, dead.reason) == ("lost", "orphan")
    await street.still_works()


async def test_an_entry_that_takes_the_id_of_another_job_is_a_stale_copy(street: Street) -> None:
    job = await street.app.tasks.get("add").options(delay=600, job_id="mine").enqueue(1, 2)
    street.add(i="mine", m=packed(task="add", args=[5, 5]))

    (finished,) = await street.ears.hears(JobFinished)

    assert finished.status == "stale"
    assert (await job.info()).state == "scheduled"
    await street.still_works()


async def test_a_task_nobody_knows_is_parked_and_visible(street: Street) -> None:
    job = await street.app.send("not_deployed_yet", 1)

    async def parked() -> JobInfo | None:
        info = await job.info()
        return info if info.state == "scheduled" else None

    info = await eventually(parked)

    assert info is not None
    assert (info.attempts, info.task) == (0, "not_deployed_yet")
    assert info.due_at is not None
    assert [one.type for one in info.errors] == ["UnknownTask"]
    (queue,) = await street.app.inspector.queues("default")
    assert queue.counters["park"] == 1
    await street.still_works()


async def test_a_task_that_is_deployed_meanwhile_runs(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 20)
    job = await street.app.send("late", 1)
    await street.ears.hears(JobFinished, ending="park")

    @street.app.task
    async def late(n: int) -> int:
        return n + 1

    async with scheduling(street.app):
        assert await job.result(PATIENCE_S) == 2


async def test_a_task_nobody_ever_knows_is_dead_after_its_limit(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 1)
    monkeypatch.setattr("rqueue.worker.protecting.PARK_LIMIT", 3)
    job = await street.app.send("never", 1)

    async with scheduling(street.app):
        assert await job.wait(PATIENCE_S) == "dead"

    info = await job.info()
    assert (info.reason, info.attempts) == ("unknown_task", 0)
    ends = [one.ending for one in street.ears.of(JobFinished)]
    assert ends == ["park", "park", "park", "bury"]


async def test_a_hundred_hostile_entries_among_sound_ones_harm_none(street: Street) -> None:
    add = street.app.tasks.get("add")
    jobs = []
    for n, name in enumerate([*HOSTILE, *HOSTILE, *HOSTILE]):
        fields: dict[str, Any] = HOSTILE[name]
        street.add(i=f"bad{n}", **fields)
        jobs.append(await add.enqueue(n, 1))

    assert [await job.result(PATIENCE_S) for job in jobs] == [n + 1 for n in range(len(jobs))]
    dead = await street.dead(len(jobs))
    assert {one.reason for one in dead} == {"decode"}
    await street.still_works()


async def test_retries_end_by_the_time_that_the_id_tells(
    app: App, redis: Redis, namespace: str
) -> None:
    @app.task(retry=Retry(until=60, base=0))
    async def broken() -> None:
        raise LookupError

    job_id = str(UUID(int=(now_ms() - 61_000) << 80 | 7 << 76 | 0b10 << 62))
    call = msgspec.msgpack.encode({"task": "broken"})
    stream = queue_keys(namespace, "default").stream("normal")
    redis.xadd(stream, {"i": shorten(job_id), "m": call})

    async with working(app):
        await eventually(lambda: redis.xlen(stream) == 0)
    info = await app.job(job_id).info()

    assert (info.state, info.attempts) == ("dead", 1)


async def test_a_job_ends_though_its_id_only_looks_like_one_of_ours(
    app: App, redis: Redis, namespace: str
) -> None:
    @app.task(retry=Retry(max_attempts=1))
    async def broken() -> None:
        raise LookupError

    keys, job_id = queue_keys(namespace, "default"), "~AAAA" + "." * 18
    redis.xadd(
        keys.stream("normal"), {"i": job_id, "m": msgspec.msgpack.encode({"task": "broken"})}
    )

    async with working(app):
        await eventually(lambda: redis.xlen(keys.stream("normal")) == 0)

    assert redis.zrange(keys.dead, 0, -1) == [job_id.encode()]
