"""What is refused for want of the right keys, and what may be seen without any."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from redis import Redis

from rqueue import (
    App,
    CodecError,
    Encrypted,
    JobFailed,
    ProtectionError,
    QueueShare,
    Signed,
)
from rqueue.codec import encode
from rqueue.events import JobFinished
from rqueue.job import JobInfo
from rqueue.store.keys import QueueKeys
from rqueue.store.pieces import call_of
from tests.support.protected import (
    CANARY,
    REASON,
    Apps,
    apps,
    every_kind,
    first_call,
    new,
    old,
    only_dead,
    ran,
    send,
    stream,
)
from tests.support.queue_state import read_state
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import burst, scheduling, working

__all__ = ["apps"]


@every_kind
async def test_an_unprotected_job_is_refused_and_the_worker_goes_on(
    apps: Apps, redis: Redis, namespace: str, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = apps(old(kind))
    ears = Ears(app)
    plain = await send(apps(), "plain", job_id="plain")
    raw = first_call(redis, app)

    with caplog.at_level(logging.ERROR, "rqueue"):
        async with working(app) as worker:
            before = worker.worker_ids
            assert await plain.wait(PATIENCE_S) == "dead"
            assert await (await send(app, "next")).result(PATIENCE_S) == "next"
            assert worker.worker_ids == before

    assert ran == ["next"]
    state = read_state(redis, QueueKeys(namespace, "default"))
    record: Any = redis.hgetall(f"{namespace}:{{default}}:job:plain")
    assert call_of({name.decode(): told for name, told in record.items()}) == raw
    assert (record[b"y"].decode(), b"k" in record, b"a" in record) == (REASON[kind], False, False)
    assert state.meta["bury"] == "1"
    (finished,) = ears.of(JobFinished, ending="bury")
    assert (finished.task, finished.error) == ("", "ProtectionError")
    done = {Signed: "signed", Encrypted: "encrypted"}[kind]
    assert f"this call is not {done}" in caplog.text
    dead = await only_dead(app)
    assert (dead.envelope, dead.protected) == (None, ("envelope",))


@every_kind
async def test_hostile_bytes_are_refused_before_they_are_decoded(
    apps: Apps, redis: Redis, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = apps(old(kind))
    await app.connections.announce("default")
    monkeypatch.setattr("rqueue.worker.protecting.open_envelope", None)  # a call of it would raise
    forged = apps(new(kind)).store.protection.protect(b"\x80", "call", "default", "b")
    for name, data in {"a": b"\xdf\xff\xff\xff\xff", "b": forged, "c": b"\xc1\x07"}.items():
        redis.xadd(stream(app), {"i": name, "m": data})
    redis.xadd(stream(app), {"m": forged})

    await burst(app)

    dead = await app.inspector.dead("default")
    assert [one.reason for one in dead] == [REASON[kind]] * 4


@every_kind
async def test_a_call_above_the_size_is_refused_before_its_keys_are_tried(
    apps: Apps, redis: Redis, kind: Any
) -> None:
    app = apps(old(kind))
    await app.connections.announce("default")
    app.store = msgspec.structs.replace(app.store, max_payload=50)
    redis.xadd(stream(app), {"i": "big", "m": b"\xc1" * 51})

    await burst(app)

    assert (await only_dead(app)).reason == "too_large"


@every_kind
async def test_a_call_that_is_moved_to_another_id_or_queue_is_refused(
    apps: Apps, redis: Redis, kind: Any
) -> None:
    app = apps(old(kind))
    await send(app, job_id="mine")
    stolen = first_call(redis, app)
    await app.connections.announce("other")
    redis.xadd(stream(app), {"i": "theirs", "m": stolen})
    redis.xadd(stream(app, "other"), {"i": "mine", "m": stolen})

    await burst(app)
    await burst(app, queues=(QueueShare("other"),))

    assert ran == [CANARY]
    for queue, name in (("default", "theirs"), ("other", "mine")):
        dead = await only_dead(app, queue)
        assert (dead.id, dead.reason, dead.attempts) == (name, REASON[kind], 0)
        assert "for this job of this queue, or was changed" in dead.errors[0].message


@every_kind
async def test_a_result_is_no_call_and_a_call_no_result(
    apps: Apps, redis: Redis, namespace: str, kind: Any
) -> None:
    app = apps(old(kind))
    call = msgspec.msgpack.encode({"task": "echo", "args": [CANARY]})
    forged = app.store.protection.protect(call, "result", "default", "mine")
    redis.xadd(stream(app), {"i": "mine", "m": forged})
    await app.connections.announce("default")

    await burst(app)

    assert ((await only_dead(app)).reason, ran) == (REASON[kind], [])


@every_kind
async def test_a_result_that_was_changed_is_not_given_out(
    apps: Apps, redis: Redis, namespace: str, kind: Any
) -> None:
    app = apps(old(kind))
    job = await send(app, job_id="mine")
    await send(app, "other", job_id="other")
    await burst(app)
    record, other = (f"{namespace}:{{default}}:job:{name}" for name in ("mine", "other"))
    theirs: Any = redis.hget(other, "r")

    for forged in (encode("forged"), theirs):
        redis.hset(record, "r", forged)
        with pytest.raises(CodecError, match=r"this result (is not|was not)"):
            await job.result(PATIENCE_S)
        info = await job.info()
        assert (info.result, info.protected) == (None, ("result",))


@every_kind
async def test_an_error_that_was_changed_is_not_told(
    apps: Apps, redis: Redis, namespace: str, kind: Any
) -> None:
    app = apps(old(kind))
    job = await send(app, task="fail", job_id="mine")
    await burst(app)
    forged = encode({"attempt": 1, "type": "WorkerDied", "message": "call 555-1234"})
    redis.hset(f"{namespace}:{{default}}:job:mine", "!1", forged)

    with pytest.raises(JobFailed) as failed:
        await job.result(PATIENCE_S)

    assert failed.value.error_type == "(protected)"
    (told,) = (await job.info()).errors
    assert (told.attempt, told.type) == (1, "(protected)")
    assert "555" not in told.message + str(failed.value)


@every_kind
async def test_a_report_of_a_crash_is_told_in_our_own_words(
    apps: Apps, redis: Redis, namespace: str, kind: Any
) -> None:
    app = apps(old(kind))
    job = await send(app, job_id="mine")
    crash = encode({"attempt": 0, "type": "x", "message": "call 555-1234", "worker": "w", "at": 7})
    record = f"{namespace}:{{default}}:job:mine"
    redis.hset(record, mapping={"!c1": crash, "n": "1", "s": "dead", "y": "crashed"})

    with pytest.raises(JobFailed, match="WorkerDied: the worker stopped renewing"):
        await job.result(PATIENCE_S)

    (told,) = (await job.info()).errors
    assert (told.type, told.worker, told.at) == ("WorkerDied", "w", 7)
    assert "555" not in told.message


@every_kind
async def test_an_inspector_without_keys_sees_the_job_but_not_its_content(
    apps: Apps, kind: Any
) -> None:
    app, blind = apps(old(kind)), apps()
    await send(app, job_id="good")
    await send(app, task="fail", job_id="bad")
    waiting = await send(app, job_id="waits", delay=600)
    await burst(app)

    assert await blind.job("good").wait(PATIENCE_S) == "succeeded"
    good = await blind.job("good").info()
    assert (good.task, good.result, good.protected) == ("echo", None, ("result",))
    with pytest.raises(ProtectionError, match="the app has no keys"):
        await blind.job("good").result(PATIENCE_S)
    dead = await only_dead(blind)
    assert (dead.id, dead.task, dead.reason) == ("bad", "fail", "failed")
    assert (dead.envelope, dead.protected) == (None, ("envelope",))
    assert [(one.attempt, one.type) for one in dead.errors] == [(1, "(protected)")]
    with pytest.raises(JobFailed) as failed:
        await blind.job("bad").result(PATIENCE_S)
    assert failed.value.error_type == "(protected)"
    info = await blind.job(waiting.id).info()
    assert (info.state, info.task, info.protected) == ("scheduled", "", ("envelope",))
    assert CANARY not in repr((good, dead, info, failed.value))


@every_kind
async def test_a_protected_job_waits_for_a_worker_that_has_keys(
    apps: Apps, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 20)
    app, blind = apps(old(kind)), apps()
    ears = Ears(blind)
    job = await send(app)
    async with working(blind):
        await ears.hears(JobFinished, ending="park")

    info = await eventually(lambda: _scheduled(blind, job.id))

    assert info is not None
    assert (info.attempts, [one.type for one in info.errors]) == (0, ["ProtectionError"])
    assert "the app has no keys" in info.errors[0].message
    (told,) = (await job.info()).errors
    assert told.type == "(protected)"
    assert "whoever wrote it had no keys" in told.message
    async with working(app), scheduling(app):
        assert await job.result(PATIENCE_S) == CANARY


async def _scheduled(app: App, job_id: str) -> JobInfo | None:
    info = await app.job(job_id).info()
    return info if info.state == "scheduled" else None


async def test_a_protected_job_that_nobody_ever_opens_is_dead(
    apps: Apps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 1)
    monkeypatch.setattr("rqueue.worker.protecting.PARK_LIMIT", 2)
    blind = apps()
    job = await send(apps(old(Signed)), unique="one", job_id="x")

    async with working(blind), scheduling(blind):
        assert await blind.job(job.id).wait(PATIENCE_S) == "dead"

    dead = await only_dead(blind)
    assert (dead.reason, dead.attempts) == ("unknown_task", 0)
    assert (await send(blind, "free", unique="one", job_id="y")).status == "accepted"
