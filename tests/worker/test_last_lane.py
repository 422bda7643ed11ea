"""A job one crash from the cap runs alone, and holds up nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.clock import now_ms
from rqueue.envelope import Envelope, seal
from rqueue.errors import StoreUnavailable
from rqueue.job import JobState
from rqueue.store.call import Call
from rqueue.store.scripts import MARK
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import working


def put_last(app: App, redis: Redis, job_id: str, task: str, **limits: Any) -> None:
    """A job whose worker died twice, as `reap` leaves it."""
    base = f"{app.store.namespace}:{{default}}:"
    told = {"i": job_id, "m": seal(Envelope(task=task, **limits)), "t": "3", "n": "2"}
    entry = redis.xadd(base + "stream:last", told)  # type: ignore[arg-type]
    fields = {"s": "queued", "e": entry, "l": "last", "c": "1", "d": "x"}
    redis.hset(base + "job:" + job_id, mapping=fields)  # type: ignore[arg-type]


async def test_it_does_not_hold_up_a_stop(app: App, redis: Redis) -> None:
    inside = asyncio.Event()

    @app.task
    async def stay() -> None:
        inside.set()
        await asyncio.Event().wait()

    async with working(app, grace_s=0.1):
        put_last(app, redis, "poison", "stay")
        await inside.wait()

    info = await app.job("poison").info()
    assert (info.state, info.attempts, info.priority) == (JobState.QUEUED, 0, "normal")


async def test_one_that_has_expired_disturbs_nobody(app: App, redis: Redis) -> None:
    inside, go = asyncio.Event(), asyncio.Event()

    @app.task
    async def stay() -> str:
        inside.set()
        await go.wait()
        return "well"

    async with working(app):
        job = await stay.enqueue()
        await inside.wait()
        put_last(app, redis, "late", "stay", expires=1)
        assert await app.job("late").wait(PATIENCE_S) == JobState.EXPIRED
        go.set()

        assert await job.result(PATIENCE_S) == "well"


@pytest.mark.parametrize(
    ("limit", "state"), [("expires", JobState.EXPIRED), ("deadline", JobState.DEAD)]
)
async def test_one_that_has_waited_for_the_others_for_too_long_does_not_begin(
    app: App, redis: Redis, monkeypatch: pytest.MonkeyPatch, limit: str, state: JobState
) -> None:
    inside, go, begun = asyncio.Event(), asyncio.Event(), list[str]()

    @app.task
    async def stay() -> None:
        inside.set()
        await go.wait()

    @app.task
    async def begin() -> None:
        begun.append("begin")

    async with working(app) as worker:
        job = await stay.enqueue()
        await inside.wait()
        moment = now_ms() + 3_600_000
        put_last(app, redis, "held", "begin", **{limit: moment})
        await eventually(lambda: worker._slots.taken == 2 or None)
        monkeypatch.setattr("rqueue.worker.lateness.now_ms", lambda: moment)
        go.set()

        assert await app.job("held").wait(PATIENCE_S) == state
        assert await job.wait(PATIENCE_S) == JobState.SUCCEEDED
        assert begun == []


async def test_one_that_is_cancelled_while_it_waits_disturbs_nobody(app: App, redis: Redis) -> None:
    inside, go = asyncio.Event(), asyncio.Event()

    @app.task
    async def stay() -> str:
        inside.set()
        await go.wait()
        return "well"

    async with working(app) as worker:
        job = await stay.enqueue()
        await inside.wait()
        put_last(app, redis, "held", "stay")
        await eventually(lambda: worker._slots.taken == 2 or None)
        assert await app.job("held").cancel() == "requested"
        assert await app.job("held").wait(PATIENCE_S) == JobState.CANCELLED
        go.set()

        assert await job.result(PATIENCE_S) == "well"


async def test_one_whose_mark_got_no_answer_is_run_later(
    app: App, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.task
    async def quick() -> str:
        return "well"

    async with working(app) as worker:
        send, lost = worker._transport.send, list[str]()

        async def losing(call: Call[object]) -> object:
            if call.script is MARK and not lost:
                lost.append("mark")
                raise StoreUnavailable("no answer")
            return await send(call)

        monkeypatch.setattr(worker._transport, "send", losing)
        put_last(app, redis, "held", "quick")

        assert await app.job("held").result(PATIENCE_S) == "well"
        assert lost == ["mark"]
