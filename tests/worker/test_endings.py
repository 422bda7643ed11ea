"""Each way an attempt may end, through a real worker on a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from rqueue import Context, Discard, Fail, JobInfo, Retry, RetryAfter, Snooze
from rqueue.app import App
from rqueue.errors import JobFailed
from rqueue.events import JobFinished
from rqueue.handle import Job
from tests.support.waiting import PATIENCE_S, Ears, eventually, within
from tests.support.working import burst, scheduling, working

AT_ONCE = Retry(max_attempts=3, base=0)


async def ended(app: App, job: Job[Any], **config: Any) -> JobInfo:
    """What is told of a job after a worker and a scheduler have seen it through."""
    async with working(app, **config), scheduling(app):
        await job.wait(PATIENCE_S)
    return await job.info()


def history(info: JobInfo) -> list[tuple[int, str, str]]:
    return [(one.attempt, one.type.rpartition(".")[2], one.message) for one in info.errors]


async def test_a_value_is_returned(app: App) -> None:
    @app.task
    async def greet(name: str, *, loud: bool = False) -> str:
        return name.upper() if loud else name

    job = await greet.enqueue("ann", loud=True)

    info = await ended(app, job)

    assert (info.state, info.attempts, info.errors) == ("succeeded", 1, ())
    assert await job.result(0) == "ANN"


async def test_an_exception_is_retried_until_it_succeeds(app: App) -> None:
    @app.task(retry=AT_ONCE)
    async def flaky(ctx: Context) -> tuple[int, int]:
        if ctx.attempt < 3:
            raise ValueError(f"attempt {ctx.attempt}")
        return ctx.attempt, ctx.max_attempts

    job = await flaky.enqueue()

    info = await ended(app, job)

    assert (info.state, info.attempts) == ("succeeded", 3)
    assert await job.result(0) == (3, 3)
    assert history(info) == [(1, "ValueError", "attempt 1"), (2, "ValueError", "attempt 2")]


async def test_out_of_attempts_it_is_dead_with_the_history_of_every_attempt(app: App) -> None:
    @app.task(retry=AT_ONCE)
    def broken(ctx: Context) -> None:
        raise LookupError(f"attempt {ctx.attempt}")

    info = await ended(app, await broken.enqueue())

    assert (info.state, info.reason, info.attempts) == ("dead", "failed", 3)
    assert history(info) == [(n, "LookupError", f"attempt {n}") for n in (1, 2, 3)]
    assert all("raise LookupError(" in one.traceback for one in info.errors)
    assert all(one.worker and one.at for one in info.errors)


async def test_each_attempt_has_a_larger_token(app: App) -> None:
    tokens: list[int] = []

    @app.task(retry=AT_ONCE)
    async def flaky(ctx: Context) -> None:
        tokens.append(ctx.fencing_token)
        raise ValueError

    await ended(app, await flaky.enqueue())

    assert tokens == sorted(set(tokens))
    assert len(tokens) == 3


async def test_an_exception_that_is_never_retried_ends_at_once(app: App) -> None:
    @app.task(retry=Retry(max_attempts=5, base=0, never=(LookupError,)))
    async def broken() -> None:
        raise KeyError("k")

    info = await ended(app, await broken.enqueue())

    assert (info.state, info.reason, info.attempts) == ("dead", "failed", 1)


async def test_a_call_may_bring_a_policy_of_its_own(app: App) -> None:
    @app.task(retry=Retry(max_attempts=5, base=0, never=(LookupError,)))
    async def broken(kind: str) -> None:
        raise KeyError if kind == "never" else ValueError

    twice = broken.options(retry=Retry(max_attempts=2, base=0))

    infos = [await ended(app, await twice.enqueue(kind)) for kind in ("never", "often")]

    assert [info.attempts for info in infos] == [1, 2]


async def test_retry_after_decides_when(app: App) -> None:
    @app.task(retry=Retry(max_attempts=2, base=600))
    async def busy(ctx: Context) -> int:
        if ctx.attempt == 1:
            raise RetryAfter(0.05, "come back")
        return ctx.attempt

    job = await busy.enqueue()

    info = await ended(app, job)

    assert (info.state, await job.result(0)) == ("succeeded", 2)
    assert history(info) == [(1, "RetryAfter", "come back")]


async def test_snooze_charges_no_attempt(app: App) -> None:
    seen: list[int] = []

    @app.task(retry=Retry(max_attempts=1))
    async def patient(ctx: Context) -> int:
        seen.append(ctx.attempt)
        if len(seen) < 4:
            raise Snooze(0.01)
        return len(seen)

    job = await patient.enqueue()

    info = await ended(app, job)

    assert (info.state, info.attempts, info.errors, seen) == ("succeeded", 1, (), [1] * 4)


async def test_discard_ends_it_as_cancelled(app: App) -> None:
    @app.task
    async def pointless() -> None:
        raise Discard("gone")

    info = await ended(app, await pointless.enqueue())

    assert (info.state, info.reason, info.errors) == ("cancelled", "gone", ())


async def test_fail_ends_it_as_dead_whatever_attempts_are_left(app: App) -> None:
    @app.task(retry=Retry(max_attempts=9))
    async def hopeless() -> None:
        raise Fail("no such user")

    info = await ended(app, await hopeless.enqueue())

    assert (info.state, info.reason, info.attempts) == ("dead", "fail", 1)
    assert history(info) == [(1, "Fail", "no such user")]


@pytest.mark.parametrize("reason", ["\ud800", "x" * 100_000, ""])
async def test_no_reason_can_stop_the_worker(app: App, reason: str) -> None:
    @app.task
    async def discard() -> None:
        raise Discard(reason)

    @app.task
    async def fail() -> None:
        raise Fail(reason)

    jobs = [await discard.enqueue(), await fail.enqueue()]
    async with working(app):
        states = [await job.wait(PATIENCE_S) for job in jobs]

    assert states == ["cancelled", "dead"]
    assert (await jobs[0].info()).reason == reason[:4096].replace("\ud800", "?")


async def test_no_exception_can_stop_the_worker(app: App) -> None:
    class Hostile(BaseException):
        def __str__(self) -> str:
            raise SystemExit(1)

    kinds = [SystemExit, KeyboardInterrupt, GeneratorExit, Hostile, StopIteration]

    @app.task(retry=Retry(max_attempts=1))
    async def on_the_loop(kind: int) -> None:
        raise kinds[kind]

    @app.task(retry=Retry(max_attempts=1))
    def in_a_thread(kind: int) -> None:
        raise kinds[kind]

    @app.task
    async def sound() -> int:
        return 1

    jobs = [await task.enqueue(n) for task in (on_the_loop, in_a_thread) for n in range(5)]
    async with working(app):
        assert [await job.wait(PATIENCE_S) for job in jobs] == ["dead"] * 10
        assert await (await sound.enqueue()).result(PATIENCE_S) == 1


async def test_a_result_that_does_not_fit_ends_it_as_dead(app: App) -> None:
    @app.task
    async def wrong(what: str) -> int:
        value: Any = object() if what == "object" else what
        return value

    infos = [await ended(app, await wrong.enqueue(what)) for what in ("text", "object")]

    assert [(one.state, one.reason, one.attempts) for one in infos] == [("dead", "result", 1)] * 2
    assert "Expected `int`, got `str`" in infos[0].errors[0].message
    assert "cannot be encoded" in infos[1].errors[0].message


async def test_an_async_task_that_takes_too_long_is_cancelled_and_retried(app: App) -> None:
    stopped: list[int] = []

    @app.task(timeout=0.05, retry=AT_ONCE)
    async def slow(ctx: Context) -> int:
        if ctx.attempt == 1:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append(ctx.attempt)
        return ctx.attempt

    job = await slow.enqueue()

    info = await ended(app, job)

    assert (info.state, info.attempts, stopped) == ("succeeded", 2, [1])
    assert history(info)[0][1:] == (
        "AttemptTimeout",
        "the attempt took longer than its timeout of 0.05 s",
    )


async def test_a_thread_that_takes_too_long_holds_its_slot_and_its_retry(app: App) -> None:
    running, most, told, release = [0], [0], threading.Event(), threading.Event()

    @app.task(timeout=0.05, retry=AT_ONCE)
    def slow(ctx: Context) -> int:
        running[0] += 1
        most[0] = max(most[0], running[0])
        if ctx.attempt == 1:
            while not ctx.cancelled:  # told to stop, and takes its time nevertheless
                release.wait(0.01)
            told.set()
            release.wait(PATIENCE_S)
        running[0] -= 1
        return ctx.attempt

    @app.task
    async def quick() -> None:
        """Nothing."""

    async with working(app), scheduling(app):
        job = await slow.enqueue()
        await eventually(told.is_set)
        # A retry that did not wait for the thread would be due, and run, before this one.
        await (await quick.options(delay=0.01).enqueue()).wait(PATIENCE_S)
        release.set()
        await job.wait(PATIENCE_S)

    assert (await job.result(0), most) == (2, [1])
    assert history(await job.info())[0][1] == "AttemptTimeout"


# Tasks of processes must be found by their module.
here = App()


@here.task(isolation="process", timeout=1.5, retry=Retry(max_attempts=1))
def hang(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    signal.pause()


@here.task(isolation="process", retry=Retry(max_attempts=1))
def die(how: str) -> None:
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)


@here.task(isolation="process")
def where(ctx: Context, text: str) -> tuple[int, str, int]:
    return os.getpid(), text, ctx.attempt


@pytest.fixture
async def processes(valkey_app: App) -> App:
    for task in (hang, die, where):
        valkey_app.task(isolation="process", **_declared(task))(task.fn)
    return valkey_app


def _declared(task: Any) -> Any:
    return {"timeout": task.declared.timeout, "retry": task.declared.retry}


def is_gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


async def test_a_process_that_takes_too_long_is_killed(processes: App, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    async with working(processes, process_slots=1):
        # Its process is there by then: to start one may take longer than the job may.
        await (await processes.tasks.get("where").enqueue("x")).result(PATIENCE_S)
        job = await processes.tasks.get("hang").enqueue(str(path))
        await job.wait(PATIENCE_S)
    info = await job.info()

    assert (info.state, info.reason) == ("dead", "failed")
    assert history(info)[0][1] == "AttemptTimeout"
    assert within(PATIENCE_S, lambda: is_gone(int(path.read_text())))


async def test_a_process_that_dies_is_a_failure_with_its_cause(processes: App) -> None:
    die = processes.tasks.get("die")
    jobs = [await die.enqueue(how) for how in ("exit", "kill")]
    alive = await processes.tasks.get("where").enqueue("x")
    async with working(processes, process_slots=1):
        states = [await job.wait(PATIENCE_S) for job in jobs]
        pid, *rest = await alive.result(PATIENCE_S)

    assert states == ["dead", "dead"]
    told = [history(await job.info())[0] for job in jobs]
    assert [kind for _, kind, _ in told] == ["ChildProcessError"] * 2
    assert "exited with status 7" in told[0][2]
    assert "SIGKILL" in told[1][2]
    assert (pid != os.getpid(), rest) == (True, ["x", 1])


async def test_every_attempt_is_announced_to_observers(valkey_app: App) -> None:
    ears = Ears(valkey_app)

    @valkey_app.task(retry=AT_ONCE)
    async def flaky(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise ValueError

    await ended(valkey_app, await flaky.enqueue())

    told = [(e.attempt, e.ending, e.status, e.error) for e in ears.of(JobFinished)]
    assert told == [(1, "retry", "recorded", "ValueError"), (2, "complete", "recorded", "")]


async def test_a_burst_ends_when_nothing_is_left(app: App) -> None:
    @app.task
    async def count(n: int) -> int:
        if n:
            await count.enqueue(n - 1)
        return n

    job = await count.enqueue(5)

    assert await burst(app)

    assert await job.result(0) == 5
    (queue,) = await app.inspector.queues()
    assert (queue.ready, queue.running, queue.counters["complete"]) == ({}, 0, 6)


async def test_a_second_life_tells_its_own_error_and_keeps_the_first_ones(app: App) -> None:
    told = iter(["first life", "second life"])

    @app.task(retry=Retry(max_attempts=1))
    async def doomed() -> None:
        raise Fail(next(told))

    async with working(app):
        job = await doomed.enqueue()
        assert await job.wait(PATIENCE_S) == "dead"
        assert (await app.inspector.requeue("default")).count == 1
        await eventually(lambda: _dead_again(app))
        with pytest.raises(JobFailed, match="second life"):
            await job.result()

    assert [one.message for one in (await job.info()).errors] == ["first life", "second life"]


async def _dead_again(app: App) -> bool:
    (queue,) = await app.inspector.queues("default")
    return queue.counters["bury"] == 2
