"""task.now: a call runs here, by the same executor as in a worker; no Redis."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rqueue.app import App
from rqueue.context import Context, current_job
from rqueue.errors import InvalidArguments, JobCancelled, JobExpired, JobFailed, UnknownTask
from rqueue.events import Event, JobStarted
from rqueue.ids import lengthen, shorten
from rqueue.outcome import Discard, Fail, RetryAfter, Snooze
from rqueue.retry import Retry

app = App()


@app.task
async def double(x: int) -> int:
    return 2 * x


@app.task
def thread_id(ctx: Context) -> int:
    return threading.get_ident()


@app.task(isolation="process")
def process_id(ctx: Context, shift: int = 0) -> int:
    return os.getpid() + shift


@app.task(isolation="process")
def die(code: int) -> None:
    os._exit(code)


@app.task(isolation="process")
def fail_in_child(text: str) -> None:
    raise LookupError(text)


@app.task(isolation="process")
def exit_in_child() -> None:
    raise SystemExit(3)


async def failure(call: Any) -> JobFailed:
    with pytest.raises(JobFailed) as failed:
        await call
    return failed.value


async def test_a_call_returns_what_its_task_returns() -> None:
    assert await double.now(21) == 42


async def test_the_job_at_work_is_that_of_the_call_while_it_runs_and_no_longer() -> None:
    @app.task
    async def inner() -> str:
        job = current_job()
        return job.task if job is not None else ""

    @app.task
    async def outer() -> list[str]:
        within = await inner.now()
        job = current_job()
        return [within, job.task if job is not None else ""]

    assert await outer.now() == ["inner", "outer"]
    assert current_job() is None


async def test_a_call_is_checked_like_any_other() -> None:
    wrong: Any = "x"

    with pytest.raises(InvalidArguments, match="`x`"):
        await double.now(wrong)


async def test_a_sync_task_runs_in_a_thread() -> None:
    assert await thread_id.now() != threading.get_ident()


async def test_a_task_in_a_process_runs_in_another_process() -> None:
    assert await process_id.now(shift=1) - 1 != os.getpid()


async def test_a_child_that_ends_itself_is_a_failure_with_the_cause() -> None:
    failed = await failure(die.now(7))

    assert (failed.reason, failed.error_type) == ("failed", "ChildProcessError")
    assert "exited with status 7" in failed.message


async def test_an_exception_in_a_child_is_told_like_any_other() -> None:
    failed = await failure(fail_in_child.now("there"))

    assert (failed.error_type, failed.message) == ("LookupError", "there")
    assert "raise LookupError(text)" in failed.traceback


async def test_system_exit_in_a_child_is_a_failure() -> None:
    assert (await failure(exit_in_child.now())).error_type == "SystemExit"


class Broken(BaseException):
    """What nobody catches."""


@pytest.mark.parametrize(
    "kind",
    [
        ValueError,
        StopIteration,
        StopAsyncIteration,
        GeneratorExit,
        SystemExit,
        KeyboardInterrupt,
        asyncio.CancelledError,
        RecursionError,
        Broken,
    ],
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_whatever_a_handler_raises_is_a_failure(
    kind: type[BaseException], is_async: bool
) -> None:
    app = App()

    async def on_the_loop() -> None:
        raise kind("x")

    def in_a_thread() -> None:
        raise kind("x")

    task = app.task(on_the_loop if is_async else in_a_thread)

    async with asyncio.timeout(5):
        failed = await failure(task.now())

    if kind is StopIteration:  # as in every coroutine
        assert failed.error_type == "RuntimeError"
    else:
        assert failed.error_type.rpartition(".")[2] == kind.__name__


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("is_async", [True, False])
async def test_an_exit_behind_a_middleware_that_makes_a_task_is_a_failure(
    kind: type[BaseException], is_async: bool
) -> None:
    """asyncio lets these two out of a task and through the event loop."""
    app = App()

    @app.middleware
    async def through(ctx: Context[Any], call_next: Any) -> object:
        return await asyncio.create_task(call_next(ctx))

    async def on_the_loop() -> None:
        raise kind(3)

    def in_a_thread() -> None:
        raise kind(3)

    failed = await failure(app.task(on_the_loop if is_async else in_a_thread).now())

    assert (failed.error_type, failed.message) == (kind.__name__, "3")
    assert f"raise kind(3)\n{kind.__name__}: 3" in failed.traceback


@pytest.mark.parametrize(
    ("signal", "raised", "reason"),
    [
        (Discard("gone"), JobCancelled, "gone"),
        (Snooze(5), JobCancelled, "it asked to run later"),
        (Fail("never"), JobFailed, "fail"),
        (RetryAfter(5), JobFailed, "failed"),
        (ValueError("x"), JobFailed, "failed"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else str(one),
)
async def test_every_ending_reaches_the_caller(
    signal: Exception, raised: type[Exception], reason: str
) -> None:
    @App().task(retry=Retry(max_attempts=9))
    async def ends() -> None:
        raise signal

    with pytest.raises(raised) as ending:
        await ends.now()

    said: Any = ending.value
    assert said.reason == reason


async def test_a_result_that_does_not_fit_is_a_failure_and_says_so() -> None:
    @App().task
    async def wrong() -> int:
        value: Any = "text"
        return value

    failed = await failure(wrong.now())

    assert (failed.reason, failed.error_type) == ("result", "ResultError")
    assert "Expected `int`, got `str`" in failed.message


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_call_that_takes_too_long_is_a_failure(is_async: bool) -> None:
    app, release = App(), threading.Event()

    async def on_the_loop() -> None:
        await asyncio.Event().wait()

    def in_a_thread(ctx: Context) -> None:
        while not ctx.cancelled:
            release.wait(0.01)

    task = app.task(timeout=0.05)(on_the_loop if is_async else in_a_thread)

    failed = await failure(task.now())

    assert failed.error_type.endswith("Timeout")
    assert "longer than its timeout of 0.05 s" in failed.message


async def test_a_timeout_of_the_handlers_own_is_its_own_failure() -> None:
    @App().task(timeout=60)
    async def impatient() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    assert (await failure(impatient.now())).error_type == "TimeoutError"


async def test_a_call_that_came_too_late_is_not_run() -> None:
    with pytest.raises(JobExpired):
        await double.options(expires=0).now(1)


async def test_a_task_that_is_not_here_says_so() -> None:
    failed = await failure(app.remote("elsewhere").now(1))

    assert failed.reason == "unknown_task"
    with pytest.raises(UnknownTask):
        await app.remote("elsewhere").fn()


async def test_a_context_tells_what_is_known_of_the_call() -> None:
    @app.task(name="inspect_me")
    async def inspect_me(ctx: Context) -> dict[str, Any]:
        return {
            "id": ctx.job_id,
            "told": [ctx.queue, ctx.task, ctx.attempt, ctx.max_attempts, ctx.crashes, ctx.worker],
            "headers": dict(ctx.headers),
            "state": ctx.state,
        }

    told = await inspect_me.options(queue="mail", headers={"a": "b"}).now()

    assert lengthen(shorten(told["id"])) == told["id"]
    assert told["told"] == ["mail", "inspect_me", 1, 5, 0, "here"]
    assert (told["headers"], told["state"]) == ({"a": "b"}, None)


async def test_the_lifespan_opens_around_the_call() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[dict[str, int]]:
        seen.append("open")
        yield {"answer": 42}
        seen.append("closed")

    app = App(lifespan=lifespan)

    @app.task
    async def use(ctx: Context[dict[str, int]]) -> int:
        seen.append("run")
        return ctx.state["answer"]

    assert await use.now() == 42
    assert seen == ["open", "run", "closed"]


async def test_observers_hear_of_the_start() -> None:
    app, heard = App(), list[Event]()
    app.observe(heard.append)

    @app.task
    async def quiet() -> None:
        """Nothing."""

    await quiet.now()

    assert [(type(one), getattr(one, "task", "")) for one in heard] == [(JobStarted, "quiet")]


async def test_an_observer_that_raises_disturbs_nobody() -> None:
    app, heard = App(), list[Event]()

    @app.observe
    def broken(event: Event) -> None:
        raise ValueError(event)

    app.observe(heard.append)

    @app.task
    async def quiet() -> int:
        return 1

    assert await quiet.now() == 1
    assert len(heard) == 1


async def test_a_task_that_swallows_its_cancellation_has_timed_out_all_the_same() -> None:
    app = App()

    @app.task(timeout=0.01)
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late"
        return "never"

    assert (await failure(stubborn.now())).error_type == "rqueue.errors.AttemptTimeout"


async def test_a_call_leaves_no_timer_behind() -> None:
    @App().task(timeout=300)
    async def nothing() -> None: ...

    loop: Any = asyncio.get_running_loop()
    before = len([one for one in loop._scheduled if not one.cancelled()])

    for _ in range(10):
        await nothing.now()

    assert len([one for one in loop._scheduled if not one.cancelled()]) == before
