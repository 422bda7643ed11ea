"""Calls that are larger than a worker decodes, and those that just are not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from redis import Redis

from rqueue import App, Encrypted, Signed
from rqueue.client.building import build
from rqueue.errors import JobFailed, PayloadTooLarge
from rqueue.job import JobInfo
from rqueue.protection import PLAIN, Protection
from tests.support.working import burst

LIMIT = 5000
KEYS = {"2026-11": b"k" * 32}
PROTECTIONS = {
    "plain": PLAIN,
    "signed": Signed(KEYS, current="2026-11"),
    "encrypted": Encrypted(KEYS, current="2026-11"),
}
every_protection = pytest.mark.parametrize("protection", PROTECTIONS.values(), ids=PROTECTIONS)
TOLD = (
    "an envelope of 5,001 bytes; this worker decodes at most 5,000. If it is yours, give the "
    "workers an App(max_payload=...) that is at least the producers' (raise it on workers first), "
    "then: rqueue dead retry big --queue default"
)
Apps = Callable[..., App]


@pytest.fixture
async def apps(url: str, namespace: str) -> AsyncIterator[Apps]:
    """Apps with the same task on one namespace, each with a limit of its own."""
    made: list[App] = []

    def make(max_payload: int = LIMIT, protection: Protection = PLAIN) -> App:
        app = App(url, namespace=namespace, max_payload=max_payload, protection=protection)

        @app.task(name="length")
        async def length(data: bytes) -> int:
            return len(data)

        made.append(app)
        return app

    yield make
    for app in made:
        await app.close()


def largest(app: App, job_id: str = "") -> bytes:
    """The longest argument that its own producers may send; with an id of their own, a bit less."""
    task = app.tasks.get("length")
    task = task.options(job_id=job_id) if job_id else task
    size = len(build(task.call(b"x" * 1000), LIMIT, app.store.protection).job.envelope)
    data = b"x" * (1000 + LIMIT - size)
    assert len(build(task.call(data), LIMIT, app.store.protection).job.envelope) == LIMIT
    return data


async def only_dead(app: App) -> JobInfo:
    (dead,) = await app.inspector.dead("default")
    return dead


@every_protection
async def test_what_a_producer_may_send_a_worker_of_the_same_limit_decodes(
    apps: Apps, protection: Protection
) -> None:
    app = apps(protection=protection)
    task, data = app.tasks.get("length"), largest(app)
    jobs = [await task.enqueue(data), await task.options(delay=0.01).enqueue(data)]

    await burst(app)

    assert await jobs[0].result(5) == len(data)
    assert await task.now(data) == len(data)
    with pytest.raises(PayloadTooLarge) as refused:
        await task.enqueue(data + b"x")
    assert (refused.value.size, refused.value.limit) == (LIMIT + 1, LIMIT)


@every_protection
async def test_a_byte_more_is_dead_at_once_and_runs_when_the_limit_is_raised(
    apps: Apps, protection: Protection, redis: Redis
) -> None:
    small, large = apps(LIMIT, protection), apps(LIMIT + 1, protection)
    data = largest(small, "big") + b"x"
    job = await large.tasks.get("length").options(job_id="big").enqueue(data)
    key = f"{small.store.namespace}:{{default}}:stream:normal"
    raw: Any = redis.xrange(key)

    await burst(small)

    dead = await only_dead(large)
    assert (dead.id, dead.reason, dead.attempts, dead.task) == ("big", "too_large", 0, "length")
    assert redis.hget(f"{small.store.namespace}:{{default}}:job:big", "m") == raw[0][1][b"m"]
    (error,) = dead.errors
    assert (error.type, error.message) == ("PayloadTooLarge", TOLD)
    with pytest.raises(JobFailed, match=r"dead \(too_large\): PayloadTooLarge: an envelope of"):
        await job.result(5)

    assert (await small.inspector.requeue("default", ["big"])).count == 1
    await burst(large)
    assert await job.result(5) == len(data)


@pytest.mark.parametrize("encode", [msgspec.msgpack.encode, msgspec.json.encode])
async def test_a_stranger_meets_the_same_limit(apps: Apps, redis: Redis, encode: Any) -> None:
    app = apps()
    await app.connections.announce("default")
    head = len(encode({"task": "length", "args": [b"x"], "headers": {"h": "x" * 4000}})) - 4000
    for size in (LIMIT, LIMIT + 1):
        headers = {"h": "x" * (size - head)}
        data = encode({"task": "length", "args": [b"x"], "headers": headers})
        assert len(data) == size
        key = f"{app.store.namespace}:{{default}}:stream:normal"
        redis.xadd(key, {"i": f"of-{size}", "m": data})

    await burst(app)

    assert await app.job(f"of-{LIMIT}").result(5) == 1
    dead = await only_dead(app)
    assert (dead.id, dead.reason, dead.attempts) == (f"of-{LIMIT + 1}", "too_large", 0)


async def test_what_is_too_large_is_not_opened_to_look_at_it(apps: Apps) -> None:
    small, large = apps(), apps(LIMIT + 1)
    await large.tasks.get("length").options(job_id="big").enqueue(largest(small, "big") + b"x")
    await burst(small)

    found = [await only_dead(small), await small.job("big").info(), small.job("big").info_sync()]
    found += [one for one in [await small.inspector.find("big")] if one]

    assert [(one.task, len(one.envelope or b"")) for one in found] == [("", LIMIT + 1)] * 4
