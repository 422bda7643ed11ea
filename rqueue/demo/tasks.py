"""The demo's tasks. Every process of it says with ``app.use`` where its Redis is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rqueue.app import App
from rqueue.context import Context
from rqueue.demo.indexing import FileIndex, index_source
from rqueue.retry import Retry

QUEUE = "default"
FLAKY_ATTEMPTS = 3

app = App()


@app.task(queue=QUEUE)
def index_file(path: str) -> FileIndex:
    """What is to be known of a Python file."""
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        return FileIndex(path=path, problem=f"{type(error).__name__}: {error}")
    return index_source(path, source)


@app.task(queue=QUEUE, retry=Retry(max_attempts=FLAKY_ATTEMPTS, base=0.5))
async def flaky(ctx: Context) -> int:
    """Fails twice, as a service does that is being restarted; then succeeds."""
    if ctx.attempt < FLAKY_ATTEMPTS:
        raise ConnectionError(f"refused, attempt {ctx.attempt}")
    return ctx.attempt


@app.task(queue=QUEUE, retry=Retry(max_attempts=2, base=0.5))
async def doomed() -> None:
    """Fails whenever it runs, and ends in the dead set."""
    raise LookupError("there is no such thing, and there will not be")


@app.task(queue=QUEUE, priority="critical")
async def wait(seconds: float) -> None:
    """Waits, as a job does that asks a slow service.

    A few of these run at the kill: on a small tree the worker would hold nothing otherwise.
    """
    await asyncio.sleep(seconds)


@app.task(queue=QUEUE)
async def ping() -> None:
    """Does nothing, to time how soon a job starts when nothing else is to be done."""
