"""Cancelling a job that runs, wherever it runs."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from rqueue import Context, Discard, Retry
from rqueue.app import App
from rqueue.errors import JobCancelled
from rqueue.events import JobFinished
from rqueue.store.keys import QueueKeys
from tests.support.queue_state import read_state
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import working
from tests.worker.test_endings import is_gone


@pytest.mark.parametrize("blocking", [True, False])
async def test_an_async_task_is_cancelled_where_it_waits(
    app: App, redis: Redis, namespace: str, blocking: bool
) -> None:
    inside, cleaned = asyncio.Event(), asyncio.Event()

    @app.task(unique=lambda: "one")
    async def wait() -> None:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async with working(app):
        job = await wait.enqueue()
        await inside.wait()
        cancel = asyncio.to_thread(job.cancel_sync, "stop") if blocking else job.cancel("stop")
        assert await cancel == "requested"
        with pytest.raises(JobCancelled, match="stop"):
            await job.result(PATIENCE_S)

    info = await job.info()
    assert (cleaned.is_set(), info.state, info.reason, info.attempts) == (
        True,
        "cancelled",
        "stop",
        0,
    )
    state = read_state(redis, QueueKeys(namespace, "default"))
    assert (state.lanes, state.cancels, state.unique, state.waiters) == ({}, {}, {}, {})


async def test_a_task_that_will_not_be_cancelled_succeeds(app: App) -> None:
    inside = asyncio.Event()

    @app.task
    async def stubborn() -> str:
        try:
            inside.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done nevertheless"
        return ""

    async with working(app):
        job = await stubborn.enqueue()
        await inside.wait()
        assert await job.cancel() == "requested"
        assert await job.result(PATIENCE_S) == "done nevertheless"


async def test_a_task_that_fails_while_it_is_cancelled_is_not_tried_again(app: App) -> None:
    inside = asyncio.Event()

    @app.task(retry=Retry(max_attempts=5, base=0))
    async def clumsy() -> None:
        try:
            inside.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    async with working(app):
        job = await clumsy.enqueue()
        await inside.wait()
        await job.cancel("stop")
        assert await job.wait(PATIENCE_S) == "cancelled"

    assert (await job.info()).reason == "stop"


async def test_a_thread_is_asked_and_holds_its_slot_until_it_returns(app: App) -> None:
    inside, go = threading.Event(), threading.Event()
    ears = Ears(app)

    @app.task
    def wait(ctx: Context) -> None:
        inside.set()
        while not ctx.cancelled:
            go.wait(0.005)
        go.wait(PATIENCE_S)
        raise InterruptedError

    @app.task
    async def other() -> None:
        """Nothing."""

    async with working(app, concurrency=1):
        job = await wait.enqueue()
        await asyncio.to_thread(inside.wait, PATIENCE_S)
        assert await job.cancel("stop") == "requested"
        behind = await other.enqueue()
        assert (await job.info()).cancel_requested
        assert (await behind.info()).state == "queued"
        go.set()
        assert await job.wait(PATIENCE_S) == "cancelled"
        assert await behind.wait(PATIENCE_S) == "succeeded"

    assert [one.ending for one in ears.of(JobFinished)] == ["cancel", "complete"]


async def test_a_thread_is_asked_also_through_a_context_that_a_middleware_made(app: App) -> None:
    inside, never = threading.Event(), threading.Event()

    @app.middleware
    async def renewed(ctx: Context[Any], call_next: Any) -> object:
        return await call_next(msgspec.structs.replace(ctx, state="mine"))

    @app.task
    def obey(ctx: Context[str]) -> None:
        inside.set()
        while not ctx.cancelled:
            never.wait(0.005)
        raise Discard(ctx.state)

    async with working(app):
        job = await obey.enqueue()
        await eventually(inside.is_set)
        assert await job.cancel() == "requested"
        assert await job.wait(PATIENCE_S) == "cancelled"


async def test_a_thread_that_never_asks_is_left_to_finish(app: App) -> None:
    inside, go = threading.Event(), threading.Event()

    @app.task
    def deaf() -> int:
        inside.set()
        go.wait(PATIENCE_S)
        return 1

    async with working(app):
        job = await deaf.enqueue()
        await asyncio.to_thread(inside.wait, PATIENCE_S)
        await job.cancel()
        go.set()
        assert await job.result(PATIENCE_S) == 1


# A task of a process must be found by its module.
here = App()


@here.task(isolation="process")
def announce_and_hang(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    threading.Event().wait()


async def test_a_process_is_killed(valkey_app: App, tmp_path: Path) -> None:
    task = valkey_app.task(isolation="process")(announce_and_hang.fn)
    path = tmp_path / "pid"

    async with working(valkey_app):
        job = await task.enqueue(str(path))
        pid = int(await eventually(lambda: path.exists() and path.read_text()))
        assert await job.cancel() == "requested"
        assert await job.wait(PATIENCE_S) == "cancelled"
        await eventually(lambda: is_gone(pid))


async def test_a_cancel_whose_message_is_lost_arrives_with_the_next_renewal(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = asyncio.Event()
    monkeypatch.setattr("rqueue.worker.worker.control", lambda *_: _Deaf())

    @app.task
    async def wait() -> None:
        inside.set()
        await asyncio.Event().wait()

    async with working(app):
        job = await wait.enqueue()
        await inside.wait()
        await job.cancel()
        assert await job.wait(PATIENCE_S) == "cancelled"


class _Deaf:
    async def run(self) -> None:
        await asyncio.Event().wait()


async def test_a_cancelled_retry_does_not_run_again(app: App) -> None:
    @app.task(retry=Retry(max_attempts=5, base=600))
    async def fails() -> None:
        raise ValueError

    ears = Ears(app)
    async with working(app):
        job = await fails.enqueue()
        await ears.hears(JobFinished)
        assert await job.cancel() == "cancelled"

    info = await job.info()
    assert (info.state, info.attempts, len(info.errors)) == ("cancelled", 1, 1)
    assert (await app.inspector.queues("default"))[0].scheduled == 0


def test_nothing_is_cancelled_by_an_id_of_another_queue(valkey_app: App) -> None:
    call: Any = valkey_app.remote("x").options(job_id="a")
    job = call.enqueue_sync()
    other = call.options(queue="other").enqueue_sync()

    assert other.cancel_sync() == "cancelled"
    assert job.info_sync().state == "queued"
    valkey_app.close_sync()
