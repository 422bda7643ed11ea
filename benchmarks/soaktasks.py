"""The tasks of a soak; each run is written into a log of its own, outside of Redis."""

from __future__ import annotations

import os
from array import array
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from rqueue import App, Context, Fail, Retry

RESULT_TTL_S = 60
SUCCEEDED, FAILED, DEAD = range(3)
"""How a run ended; each entry of the log is ``number * 3 +`` one of these, eight bytes."""
_RUNS_KEPT = 4096

_runs = array("Q")


@asynccontextmanager
async def _log() -> AsyncGenerator[None]:
    yield
    _write()


app = App(lifespan=_log)


@app.task(result_ttl=RESULT_TTL_S)
async def work(number: int) -> int:
    """A job that succeeds."""
    _ran(number, SUCCEEDED)
    return number


@app.task(result_ttl=RESULT_TTL_S, retry=Retry(max_attempts=3, base=0.1))
async def shaky(ctx: Context, number: int) -> int:
    """A job that fails once."""
    if ctx.attempt == 1:
        _ran(number, FAILED)
        raise ValueError(number)
    _ran(number, SUCCEEDED)
    return number


@app.task
async def doomed(number: int) -> None:
    """A job that ends in the dead set."""
    _ran(number, DEAD)
    raise Fail(f"number {number}")


def _ran(number: int, how: int) -> None:
    _runs.append(number * 3 + how)
    if len(_runs) >= _RUNS_KEPT:
        _write()


def _write() -> None:
    """Into a file of this process: no two write into one."""
    with Path(os.environ["SOAK_LOG"], f"{os.getpid()}-{_ID}").open("ab") as log:
        _runs.tofile(log)
    del _runs[:]


_ID = uuid4().hex[:8]
