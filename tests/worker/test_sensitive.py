"""Sensitive arguments at work: not in logs, records, events; the task has them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any

import msgspec
import pytest
from redis import Redis

from rqueue import App, Discard, Fail, JobCancelled, JobFailed, Retry, RetryAfter, Sensitive
from rqueue.events import JobFinished
from tests.support.waiting import PATIENCE_S, Ears
from tests.support.working import burst

CANARY = "canary-4711"
HOW: dict[str, Any] = {
    "raise": LookupError,
    "fail": Fail,
    "later": lambda said: RetryAfter(600, said),
}


class Colour(Enum):
    RED = "red"


def add(app: App, redis: Redis, envelope: bytes) -> None:
    """What a stranger adds to the stream."""
    redis.xadd(f"{app.store.namespace}:{{default}}:stream:normal", {"i": "x", "m": envelope})


def _raise(how: str, password: str) -> None:
    try:
        {}[password]
    except KeyError as error:
        raise HOW[how](f"no {password!r} for {how}") from error


@App().task(isolation="process")
def in_child(how: str, password: Sensitive[str]) -> None:
    _raise(how, password)


@pytest.fixture
async def log(caplog: pytest.LogCaptureFixture) -> AsyncIterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def declared(app: App) -> dict[str, Any]:
    once = Retry(max_attempts=1)

    @app.task(retry=once)
    async def on_loop(how: str, password: Sensitive[str]) -> None:
        _raise(how, password)

    @app.task(retry=once)
    def in_thread(how: str, password: Sensitive[str]) -> None:
        _raise(how, password)

    in_process = app.task(isolation="process", retry=once)(in_child.fn)
    return {"loop": on_loop, "thread": in_thread, "process": in_process}


@pytest.mark.parametrize("isolation", ["loop", "thread", "process"])
@pytest.mark.parametrize("how", [*HOW])
async def test_an_error_is_told_everywhere_without_the_value(
    app: App, redis: Redis, log: pytest.LogCaptureFixture, isolation: str, how: str
) -> None:
    ears, task = Ears(app), declared(app)[isolation]
    job = await task.options(job_id="x").enqueue(how, CANARY)
    await burst(app)

    info = await job.info()
    (error,) = info.errors
    record: Any = redis.hgetall(f"{app.store.namespace}:{{default}}:job:x")
    # Without the call itself: the task must have it.
    record = {name: told for name, told in record.items() if not name.startswith(b"m")}

    assert error.message == f"no '[redacted]' for {how}"
    assert "KeyError: '[redacted]'" in error.traceback
    for told in (error, log.text, ears.heard, record, job, task):
        assert CANARY not in repr(told)
    assert "[redacted]" in log.text
    if info.state == "dead":
        with pytest.raises(JobFailed) as failed:
            await job.result(PATIENCE_S)
        assert CANARY not in repr(vars(failed.value)) + str(failed.value)


async def test_the_reason_of_a_discard_does_not_tell_the_value(app: App, redis: Redis) -> None:
    @app.task
    async def give_up(password: Sensitive[str]) -> None:
        raise Discard(f"not {password}")

    job = await give_up.options(job_id="x").enqueue(CANARY)
    await burst(app)

    with pytest.raises(JobCancelled, match=r"not \[redacted\]"):
        await job.result(PATIENCE_S)
    assert CANARY not in repr(redis.hgetall(f"{app.store.namespace}:{{default}}:job:x"))


@pytest.mark.parametrize("encode", [msgspec.msgpack.encode, msgspec.json.encode])
async def test_arguments_that_do_not_fit_are_told_without_the_value(
    app: App, redis: Redis, log: pytest.LogCaptureFixture, encode: Any
) -> None:
    @app.task
    async def paint(user: str, colour: Sensitive[Colour]) -> None: ...

    ears = Ears(app)
    add(app, redis, encode({"task": "paint", "args": ["ada", CANARY]}))
    await burst(app)

    (dead,) = await app.inspector.dead("default")
    assert (dead.reason, [one.type for one in dead.errors]) == ("arguments", ["InvalidArguments"])
    assert "Invalid enum value '[redacted]'" in dead.errors[0].message
    for told in (dead.errors, log.text, ears.heard):
        assert CANARY not in repr(told)


async def test_what_the_producer_hides_is_not_told_by_a_task_without_marks(
    app: App, redis: Redis, log: pytest.LogCaptureFixture
) -> None:
    @app.task(retry=Retry(max_attempts=1))
    async def fail(user: str, password: str) -> None:
        raise LookupError(f"{user} {password}")

    call = {"task": "fail", "args": ["ada", CANARY], "hidden": [1, 9, "none"]}
    add(app, redis, msgspec.json.encode(call))
    await burst(app)

    (dead,) = await app.inspector.dead("default")
    assert dead.errors[0].message == "ada [redacted]"
    assert CANARY not in log.text


async def test_the_task_has_the_value(app: App) -> None:
    got: list[str] = []

    @app.task
    async def log_in(user: str, *, password: Sensitive[str]) -> None:
        got.append(password)

    job = await log_in.enqueue("ada", password=CANARY)
    await burst(app)

    await job.result(PATIENCE_S)
    assert got == [CANARY]


async def test_observers_are_told_of_the_failure_as_of_any_other(app: App) -> None:
    ears = Ears(app)
    await declared(app)["loop"].enqueue("raise", CANARY)
    await burst(app)

    (finished,) = ears.of(JobFinished)
    assert (finished.ending, finished.error) == ("bury", "LookupError")
