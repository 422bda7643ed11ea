"""Tasks that fork, and a worker that runs them: ``python -m tests.faults.forks '{...}'``."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import stat
import subprocess
import sys
from contextlib import suppress

from rqueue import Context
from tests.faults.actor import main
from tests.faults.tasks import QUICK, app, tell

COUNT_SOCKETS = (
    "import os, stat\n"
    "fds = [f'/proc/self/fd/{fd}' for fd in os.listdir('/proc/self/fd')]\n"
    "print(sum(stat.S_ISSOCK(os.stat(fd).st_mode) for fd in fds if os.path.exists(fd)))\n"
)


def use_rqueue(name: str) -> None:
    """In the child: send jobs, the last one only if the inherited sockets were left alone."""
    heard = bend_sockets()
    work = app.remote("work")
    work.options(job_id=f"{name}-blocking").enqueue_sync(1)
    asyncio.run(send(name))
    with suppress(BlockingIOError):
        raise AssertionError(f"sent through its parent's socket: {heard.recv(100)!r}")
    work.options(job_id=f"{name}-clean").enqueue_sync(3)


async def send(name: str) -> None:
    await app.remote("work").options(job_id=f"{name}-async").enqueue(2)
    await app.close()


def bend_sockets() -> socket.socket:
    """All sockets that were inherited lead here from now on."""
    heard, told = socket.socketpair()
    heard.setblocking(False)
    for fd in range(3, 1024):
        with suppress(OSError):
            if fd not in (heard.fileno(), told.fileno()) and stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.dup2(told.fileno(), fd)
    return heard


@app.task(retry=QUICK)
async def fork_on_the_loop(ctx: Context) -> int:
    tell("begin", ctx)
    await app.remote("work").enqueue(0)  # the parent's own connections are in use as well
    await asyncio.to_thread(app.remote("work").enqueue_sync, 0)
    child = os.fork()
    if child == 0:
        ended_with = 1
        try:
            use_rqueue(ctx.job_id)
            ended_with = 0
        finally:
            os._exit(ended_with)
    return await asyncio.to_thread(ended, child)


@app.task(retry=QUICK)
def fork_in_a_thread(ctx: Context) -> int:
    tell("begin", ctx)
    app.remote("work").enqueue_sync(0)
    child = multiprocessing.get_context("fork").Process(target=use_rqueue, args=[ctx.job_id])
    child.start()
    child.join()
    # Not its exit code: Python 3.11 lets such a child end with 1 whenever it is forked by a thread
    # of a pool, because it cannot join itself. What it sent shows that it did all.
    return 0


@app.task(retry=QUICK)
def run_a_command(ctx: Context) -> int:
    """How many sockets of ours a command has."""
    tell("begin", ctx)
    said = subprocess.run([sys.executable, "-c", COUNT_SOCKETS], capture_output=True, check=True)
    return int(said.stdout)


@app.task(retry=QUICK)
async def fall_out_on_the_loop(ctx: Context, how: str) -> int:
    """Let a child go on as if it were the parent."""
    tell("begin", ctx)
    child = os.fork()
    if child == 0:
        spoil_nothing_and(how)
        return -1
    return await asyncio.to_thread(ended, child)


@app.task(retry=QUICK)
def fall_out_in_a_thread(ctx: Context, how: str) -> int:
    tell("begin", ctx)
    child = os.fork()
    if child == 0:
        spoil_nothing_and(how)
        return -1
    return ended(child)


def spoil_nothing_and(how: str) -> None:
    if how == "exit":
        sys.exit(3)
    if how == "raise":
        raise RuntimeError("in the child")


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
