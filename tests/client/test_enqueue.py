"""Enqueue: what becomes of one job, and what Redis holds of it afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from redis import Redis

from rqueue.app import App
from rqueue.envelope import open_envelope
from rqueue.errors import Conflict, CorruptKey, InvalidArguments, PayloadTooLarge
from rqueue.events import Event, JobEnqueued
from rqueue.handle import Job
from rqueue.job import JobState
from rqueue.names import Priority
from rqueue.retry import Retry
from rqueue.store.keys import QueueKeys
from rqueue.task import Task, TaskCall
from tests.support.queue_state import read_state

Add = Task[..., int]


@pytest.fixture
def add(app: App) -> Add:
    @app.task
    async def add(a: int, b: int = 0) -> int:
        return a + b

    return add


@pytest.fixture
def keys(namespace: str) -> QueueKeys:
    return QueueKeys(namespace, "default")


async def test_a_job_is_accepted_and_stands_in_its_stream(
    app: App, add: Add, redis: Redis, keys: QueueKeys
) -> None:
    job = await add.enqueue(1, 2)

    info = await job.info()
    assert (job.status, job.queue, info.id) == ("accepted", "default", job.id)
    assert UUID(job.id).version == 7
    assert (info.state, info.task, info.priority, info.attempts) == (
        JobState.QUEUED,
        "add",
        "normal",
        0,
    )
    state = read_state(redis, keys)
    assert {lane: len(found) for lane, found in state.lanes.items()} == {"normal": 1}
    assert (state.schedule, state.unique, state.meta) == ({}, {}, {"enqueue": "1"})
    assert redis.smembers(f"{keys.namespace}:queues") == {b"default"}


def test_blocking_code_enqueues_the_same(app: App, add: Add) -> None:
    job = add.enqueue_sync(1, 2)
    again = app.enqueue_sync(add.options(job_id="mine").call(1, b=2))

    assert (job.status, job.info_sync().state) == ("accepted", JobState.QUEUED)
    assert (again.id, again.status) == ("mine", "accepted")
    app.close_sync()


@pytest.mark.parametrize("priority", ["critical", "high", "normal", "low"])
async def test_each_priority_has_a_stream(
    add: Add, redis: Redis, keys: QueueKeys, priority: Priority
) -> None:
    await add.options(priority=priority).enqueue(1)

    assert list(read_state(redis, keys).lanes) == [priority]


async def test_a_job_of_the_same_id_and_content_is_a_duplicate(add: Add) -> None:
    mine = add.options(job_id="order:17")

    jobs = [await mine.enqueue(1, b=2), await mine.enqueue(b=2, a=1), mine.enqueue_sync(1, 2)]

    assert [job.status for job in jobs] == ["accepted", "duplicate", "duplicate"]
    assert {job.id for job in jobs} == {"order:17"}


async def test_time_headers_and_expiry_are_no_content(add: Add) -> None:
    first = add.options(job_id="x", headers={"trace": "1"}, expires=50)
    second = add.options(job_id="x", headers={"trace": "2"}, delay=30)

    assert [(await one.enqueue(1)).status for one in (first, second)] == ["accepted", "duplicate"]


@pytest.mark.parametrize("other", [{"priority": "low"}, {"retry": Retry(max_attempts=2)}, {}])
@pytest.mark.parametrize("blocking", [True, False])
async def test_a_job_of_the_same_id_and_other_content_is_a_conflict(
    add: Add, other: Any, blocking: bool
) -> None:
    await add.options(job_id="x").enqueue(1)
    mine, call = add.options(job_id="x", **other), (1 if other else 2,)

    with pytest.raises(Conflict, match=r"job 'x' exists in queue 'default' with other content"):
        mine.enqueue_sync(*call) if blocking else await mine.enqueue(*call)


async def test_one_id_may_stand_in_two_queues(add: Add) -> None:
    jobs = [await add.options(job_id="x", queue=queue).enqueue(1) for queue in ("a", "b")]

    assert [job.status for job in jobs] == ["accepted", "accepted"]
    assert jobs[0] != jobs[1]


async def test_a_unique_key_gives_the_handle_of_its_holder(add: Add) -> None:
    holder = await add.options(unique="user:7").enqueue(1)

    locked = await add.options(unique="user:7").enqueue(2)

    assert (locked.status, locked) == ("locked", holder)
    assert (await locked.info()).unique == "user:7"


async def test_a_unique_key_is_free_again_when_its_holder_was_cancelled(add: Add) -> None:
    holder = await add.options(unique="user:7").enqueue(1)
    await holder.cancel()

    assert (await add.options(unique="user:7").enqueue(2)).status == "accepted"


async def test_the_holder_of_a_unique_key_is_a_duplicate_of_itself(add: Add) -> None:
    mine = add.options(unique="user:7", job_id="x")

    assert [(await mine.enqueue(1)).status for _ in range(2)] == ["accepted", "duplicate"]


async def test_a_delayed_job_waits_in_the_schedule(add: Add, redis: Redis, keys: QueueKeys) -> None:
    job = await add.options(delay=timedelta(minutes=10)).enqueue(1)

    info, state = await job.info(), read_state(redis, keys)
    assert info.state == JobState.SCHEDULED
    assert info.due_at is not None
    assert info.created_at is not None
    assert info.due_at - info.created_at == timedelta(minutes=10)
    assert (len(state.schedule), state.lanes) == (1, {})


async def test_a_time_that_has_passed_means_now(add: Add) -> None:
    past = datetime.now(UTC) - timedelta(days=1)

    job = await add.options(run_at=past).enqueue(1)

    assert (await job.info()).state == JobState.QUEUED


async def test_a_call_above_the_limit_is_refused_and_nothing_is_written(
    url: str, namespace: str, redis: Redis
) -> None:
    app = App(url, namespace=namespace, max_payload=2000)

    @app.task
    async def store(text: str) -> None:
        """Never run."""

    size = len("x" * 1800)
    await store.enqueue("x" * size)
    before = redis.dbsize()
    with pytest.raises(PayloadTooLarge, match=r"the call of 'store' takes .* the limit is 2,000"):
        await store.enqueue("x" * 2000)
    with pytest.raises(PayloadTooLarge) as refused:
        store.enqueue_sync("x" * 2000)

    assert (refused.value.limit, redis.dbsize()) == (2000, before)
    assert 2000 < refused.value.size < 2200
    await app.close()


async def test_the_limit_is_256_kib_unless_the_app_says_otherwise(app: App) -> None:
    @app.task
    async def store(data: bytes) -> None:
        """Never run."""

    await store.enqueue(b"x" * (255 * 1024))
    with pytest.raises(PayloadTooLarge) as refused:
        await store.enqueue(b"x" * (256 * 1024))

    assert refused.value.limit == 256 * 1024


async def test_arguments_that_do_not_fit_are_refused_before_redis_is_asked(add: Add) -> None:
    wrong: Any = "one"
    with pytest.raises(InvalidArguments, match="`a`"):
        await add.enqueue(wrong)
    with pytest.raises(InvalidArguments, match="`a`"):
        add.enqueue_sync(wrong)


async def test_a_job_may_be_sent_by_name_without_its_code(app: App) -> None:
    jobs = [
        await app.send("elsewhere", 1, text="x"),
        app.send_sync("elsewhere", 1, text="x"),
        await app.remote("elsewhere", queue="mail").options(priority="low").enqueue(),
    ]

    told = [await job.info() for job in jobs]
    assert [(one.task, one.queue, one.priority) for one in told] == [
        ("elsewhere", "default", "normal"),
        ("elsewhere", "default", "normal"),
        ("elsewhere", "mail", "low"),
    ]
    assert told[0].envelope is not None
    envelope = open_envelope(told[0].envelope).envelope
    assert (bytes(envelope.args), bytes(envelope.kwargs)) == (b"\x91\x01", b"\x81\xa4text\xa1x")


async def test_observers_hear_what_was_answered(app: App, add: Add) -> None:
    heard: list[Event] = []
    app.observe(heard.append)

    holder = await add.options(job_id="x", unique="u").enqueue(1)
    await add.options(job_id="x", unique="u").enqueue(1)
    await add.options(unique="u").enqueue(1)

    assert heard == [
        JobEnqueued(queue="default", job_id=holder.id, task="add", status=status)
        for status in ("accepted", "duplicate", "locked")
    ]


@pytest.mark.parametrize("suffix", ["meta", "stream:normal", "job:x", "unique:u"])
@pytest.mark.parametrize("blocking", [True, False])
async def test_a_key_of_another_type_is_an_alarm_and_nothing_is_written(
    add: Add, redis: Redis, keys: QueueKeys, suffix: str, blocking: bool
) -> None:
    base = keys.meta.removesuffix("meta")
    redis.lpush(base + suffix, "not ours")
    before = read_state(redis, keys)
    mine = add.options(job_id="x", unique="u")

    with pytest.raises(CorruptKey, match="another type"):
        mine.enqueue_sync(1) if blocking else await mine.enqueue(1)

    assert read_state(redis, keys) == before


def test_handles_of_one_job_are_equal(valkey_app: App) -> None:
    one, same = valkey_app.job("x"), valkey_app.job("x")

    assert (one, hash(one)) == (same, hash(same))
    assert one != valkey_app.job("x", queue="other")
    assert one != "x"
    assert repr(one) == "<Job x queue=default>"
    assert isinstance(one, Job)


async def test_a_hook_may_give_a_call_an_id_of_its_own(add: Add, app: App) -> None:
    @app.before_enqueue
    def by_content(call: TaskCall[Any]) -> TaskCall[Any]:
        return replace(call, job_id=f"add:{call.args[0]}")

    jobs = [await add.enqueue(1), add.enqueue_sync(1), *await app.enqueue_many([add.call(1)])]

    assert [(job.id, job.status) for job in jobs] == [
        ("add:1", "accepted"), ("add:1", "duplicate"), ("add:1", "duplicate"),
    ]  # fmt: skip
