"""Keys at work: what runs, what stands in Redis, and how keys come and go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis

from rqueue import (
    App,
    Conflict,
    Encrypted,
    JobFailed,
    ProtectionError,
    Retry,
    Signed,
)
from rqueue.codec import decode
from tests.support.protected import (
    CANARY,
    REASON,
    Apps,
    apps,
    both,
    every_kind,
    everything,
    new,
    old,
    only_dead,
    ran,
    send,
)
from tests.support.waiting import PATIENCE_S
from tests.support.working import burst

__all__ = ["apps"]


@App().task(isolation="process")
def child(text: str) -> str:
    return text + "!"


@every_kind
async def test_a_job_runs_and_its_result_is_read(apps: Apps, kind: Any) -> None:
    app = apps(old(kind))
    job = await send(app)

    assert (await job.info()).task == "echo"
    await burst(app)

    assert await job.result(PATIENCE_S) == CANARY
    info = await job.info()
    assert (info.state, info.task, info.protected) == ("succeeded", "echo", ())
    assert decode(info.result or b"") == CANARY


@every_kind
async def test_blocking_code_reads_the_same(apps: Apps, kind: Any) -> None:
    app = apps(old(kind))
    good = await asyncio.to_thread(app.tasks.get("echo").enqueue_sync, CANARY)
    bad = await asyncio.to_thread(app.tasks.get("fail").enqueue_sync, CANARY)
    await burst(app)

    assert await asyncio.to_thread(good.result_sync, PATIENCE_S) == CANARY
    assert (await asyncio.to_thread(bad.info_sync)).errors[0].message == CANARY
    (dead,) = await asyncio.to_thread(app.inspector_sync.dead, "default")
    assert dead.errors[0].type == "LookupError"
    found = await asyncio.to_thread(app.inspector_sync.find, dead.id)
    assert found == dead


@every_kind
async def test_an_error_is_read_with_its_keys(apps: Apps, kind: Any) -> None:
    app = apps(old(kind))
    job = await send(app, task="fail")
    await burst(app)

    with pytest.raises(JobFailed) as failed:
        await job.result(PATIENCE_S)

    assert (failed.value.error_type, failed.value.message) == ("LookupError", CANARY)
    assert "Traceback" in failed.value.traceback
    assert [one.message for one in (await job.info()).errors] == [CANARY]


async def test_nothing_encrypted_can_be_read_in_redis(
    apps: Apps, redis: Redis, namespace: str
) -> None:
    app = apps(old(Encrypted))
    echo, fail = app.tasks.get("echo"), app.tasks.get("fail")
    await echo.options(delay=600).enqueue(CANARY)
    await echo.options(job_id="good", headers={"trace": CANARY}).enqueue(CANARY)
    await fail.options(job_id="bad").enqueue(CANARY)
    await fail.options(job_id="again", retry=Retry(max_attempts=2, base=600)).enqueue(CANARY)
    await echo.options(record=True).now(CANARY)
    with pytest.raises(JobFailed):
        await fail.options(record=True).now(CANARY)
    before = everything(redis, namespace)
    await burst(app)
    after = everything(redis, namespace)
    await app.inspector.requeue("default", ["bad"])

    for told in (before, after, everything(redis, namespace)):
        assert b"job:good" in told
        assert CANARY.encode() not in told
        assert b"LookupError" not in told


async def test_what_is_only_signed_can_be_read_in_redis(
    apps: Apps, redis: Redis, namespace: str
) -> None:
    await send(apps(old(Signed)))

    assert CANARY.encode() in everything(redis, namespace)


@every_kind
async def test_keys_are_rotated_while_jobs_wait(apps: Apps, kind: Any) -> None:
    before, during, after = apps(old(kind)), apps(both(kind, "2027-05")), apps(new(kind))
    first = await send(before, "first", job_id="first")
    second = await send(during, "second", job_id="second")

    await burst(during)

    assert await during.job(first.id).result(PATIENCE_S) == "first"
    assert await after.job(second.id).result(PATIENCE_S) == "second"
    with pytest.raises(ProtectionError, match="'2027-05', which is not known here"):
        await before.job(second.id).result(PATIENCE_S)


@every_kind
async def test_a_retired_key_opens_nothing_any_more(apps: Apps, kind: Any) -> None:
    app = apps(new(kind))
    await send(apps(old(kind)), job_id="late")

    await burst(app)

    dead = await only_dead(app)
    assert (dead.id, dead.reason, dead.attempts, ran) == ("late", REASON[kind], 0, [])
    assert "'2026-11', which is not known here" in dead.errors[0].message


@every_kind
async def test_a_call_sent_again_over_a_rotation_is_a_duplicate(apps: Apps, kind: Any) -> None:
    await send(apps(old(kind)), job_id="x")

    for later in (both(kind, "2026-11"), both(kind, "2027-05")):
        assert (await send(apps(later), job_id="x")).status == "duplicate"
        with pytest.raises(Conflict):
            await send(apps(later), "other", job_id="x")


async def test_a_signed_call_sent_again_without_its_oldest_key_is_a_duplicate(apps: Apps) -> None:
    await send(apps(old(Signed)), job_id="x")

    assert (await send(apps(new(Signed)), job_id="x")).status == "duplicate"


async def test_an_encrypted_call_sent_again_without_its_oldest_key_is_a_conflict(
    apps: Apps,
) -> None:
    await send(apps(old(Encrypted)), job_id="x")

    with pytest.raises(Conflict):
        await send(apps(new(Encrypted)), job_id="x")


async def test_encrypted_calls_of_equal_content_do_not_look_equal(
    apps: Apps, redis: Redis, namespace: str
) -> None:
    app, ids = apps(old(Encrypted)), ("one", "other")
    for job_id in ids:
        await send(app, job_id=job_id)

    told = {redis.hget(f"{namespace}:{{default}}:job:{job_id}", "d") for job_id in ids}

    assert len(told - {None}) == 2


@every_kind
async def test_plain_jobs_run_while_keys_are_introduced(apps: Apps, kind: Any) -> None:
    plain, mixed = apps(), apps(old(kind, accept_plain=True))
    before = await send(plain, "before")
    await burst(plain)
    jobs = [await send(plain, "plain"), await send(mixed, "protected")]

    await burst(mixed)

    assert [await mixed.job(job.id).result(PATIENCE_S) for job in jobs] == ["plain", "protected"]
    assert await mixed.job(before.id).result(PATIENCE_S) == "before"
    with pytest.raises(ProtectionError, match="the app has no keys"):
        await jobs[0].result(PATIENCE_S)


@every_kind
async def test_a_dead_job_runs_again_with_its_protection(apps: Apps, kind: Any) -> None:
    app = apps(new(kind))
    await send(apps(old(kind)), job_id="x")
    await burst(app)
    assert (await app.inspector.requeue("default")).count == 1

    better = apps(both(kind, "2027-05"))
    await burst(better)

    assert await better.job("x").result(PATIENCE_S) == CANARY
    (earlier,) = (await better.job("x").info()).errors
    assert "'2026-11', which is not known here" in earlier.message


@every_kind
async def test_a_call_here_goes_the_same_way(
    apps: Apps, redis: Redis, namespace: str, kind: Any
) -> None:
    app = apps(old(kind))

    assert await app.tasks.get("echo").options(record=True, job_id="x").now(CANARY) == CANARY

    assert await app.job("x").result(PATIENCE_S) == CANARY
    raw: Any = redis.hget(f"{namespace}:{{default}}:job:x", "r")
    assert raw[:2] == bytes([0xC1, 1 if kind is Signed else 2])


@every_kind
async def test_a_task_in_a_process_goes_the_same_way(apps: Apps, kind: Any) -> None:
    app = apps(old(kind))
    job = await app.task(isolation="process")(child.fn).enqueue(CANARY)

    await burst(app)

    assert await job.result(PATIENCE_S) == CANARY + "!"
