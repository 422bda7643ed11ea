"""The tasks of the fault scenarios. Each run is told to the history, before and after."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import cache
from typing import Any

from rqueue import App, Context, Discard, Retry, Sensitive, Snooze
from rqueue.protection import PLAIN
from tests.faults.canaries import SIGNED
from tests.faults.history import History

HISTORY = "RQUEUE_FAULTS_HISTORY"
QUICK = Retry(max_attempts=4, base=0.05, cap=0.2)
SIGNS = "RQUEUE_FAULTS_SIGNS"
"""Set: calls, results and errors are signed."""

app = App(protection=SIGNED if SIGNS in os.environ else PLAIN)
WEEK = 7 * 24 * 3600
"""Records outlive the hours by which clocks are stepped."""


@cache
def history() -> History:
    """The log of this run; its path comes with the environment."""
    return History(os.environ[HISTORY])


def tell(event: str, ctx: Context) -> None:
    history().write(
        event,
        job=ctx.job_id,
        task=ctx.task,
        attempt=ctx.attempt,
        token=ctx.fencing_token,
        crashes=ctx.crashes,
        worker=ctx.worker,
        pid=os.getpid(),
    )


@app.task(retry=QUICK, result_ttl=WEEK)
async def work(ctx: Context, ms: int, note: str = "") -> int:
    """Take so long, as a job does that waits for a service."""
    tell("begin", ctx)
    await asyncio.sleep(ms / 1000)
    tell("end", ctx)
    return ms + 0 * len(note)


@app.task(retry=QUICK, result_ttl=WEEK)
async def take(ctx: Context, data: Any) -> int:
    """Take anything."""
    tell("begin", ctx)
    tell("end", ctx)
    return len(data)


@app.task(retry=QUICK, result_ttl=WEEK)
def work_in_thread(ctx: Context, ms: int) -> int:
    tell("begin", ctx)
    time.sleep(ms / 1000)
    tell("end", ctx)
    return ms


@app.task(retry=QUICK, result_ttl=WEEK)
async def stumble(ctx: Context, times: int) -> int:
    """Fail so often, then succeed."""
    tell("begin", ctx)
    if ctx.attempt <= times:
        tell("raise", ctx)
        raise ConnectionError(f"stumbles at attempt {ctx.attempt}")
    tell("end", ctx)
    return ctx.attempt


@app.task(retry=QUICK, result_ttl=WEEK)
async def confide(ctx: Context, secret: Sensitive[str], times: int) -> int:
    """Fail so often with the secret in the error, then succeed."""
    tell("begin", ctx)
    if ctx.attempt <= times:
        tell("raise", ctx)
        raise PermissionError(f"{secret!r} does not open the door")
    tell("end", ctx)
    return times


@app.task(retry=Retry(max_attempts=2, base=0.05))
async def doomed(ctx: Context) -> None:
    """Fail always; it ends in the dead set."""
    tell("begin", ctx)
    tell("raise", ctx)
    raise LookupError("there is no such thing")


@app.task(retry=QUICK, result_ttl=WEEK)
async def doze(ctx: Context) -> str:
    """Ask once to run later."""
    tell("begin", ctx)
    if ctx.fencing_token == 1:
        raise Snooze(0.2)
    tell("end", ctx)
    return "awake"


@app.task(retry=QUICK, result_ttl=WEEK)
async def give_up(ctx: Context) -> None:
    tell("begin", ctx)
    raise Discard("nothing to do")


@app.task(retry=QUICK, result_ttl=WEEK)
async def block(ctx: Context, seconds: float) -> float:
    """Keep the event loop from turning."""
    tell("begin", ctx)
    time.sleep(seconds)  # noqa: ASYNC251 - that is the fault
    tell("end", ctx)
    return seconds


@app.task(retry=QUICK, result_ttl=WEEK)
async def poison(ctx: Context, how: str) -> None:
    """Take the worker along."""
    tell("begin", ctx)
    if how == "exit":
        os._exit(3)
    if how == "memory":
        try:
            eaten = [b"x" * (1 << 24) for _ in range(64)]  # a gigabyte; any limit here is less
        except MemoryError:
            os.abort()  # as a library in C does; the kernel itself kills for the limit of a group
        tell("survived", ctx)
        del eaten
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(retry=QUICK, result_ttl=WEEK)
async def beget(ctx: Context) -> int:
    """Fork a child that lives on for a moment and ends in the ordinary way."""
    tell("begin", ctx)
    child = os.fork()
    if child == 0:
        time.sleep(0.2)  # noqa: ASYNC251 - in the child
        os._exit(0)
    status = await asyncio.to_thread(os.waitpid, child, 0)
    tell("end", ctx)
    return status[1]
