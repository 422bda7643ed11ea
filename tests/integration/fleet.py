"""What the worker processes of the tests run: ``python -m tests.integration.fleet '{...}'``.

Every event is said on standard output as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from rqueue import App, Context, LeaseConfig, Retry, Worker, WorkerConfig
from rqueue.events import Event
from tests.support.waiting import eventually, within

app = App()


def note(path: str, *words: object) -> None:
    """One line at the end of a file; whole, whoever else writes."""
    line = " ".join(map(str, words)) + "\n"
    with Path(path).open("ab", buffering=0) as file:
        file.write(line.encode())


@app.task
async def hold(ctx: Context, log: str, name: str) -> str:
    """Run until a file of this name is there."""
    note(log, name, os.getpid(), ctx.attempt, ctx.fencing_token)
    await eventually(lambda: Path(f"{log}.{name}").exists(), seconds=600)
    return f"{name} by {os.getpid()}"


@app.task
def hold_in_thread(ctx: Context, log: str, name: str) -> str:
    note(log, name, os.getpid(), ctx.attempt, ctx.fencing_token)
    within(600, lambda: Path(f"{log}.{name}").exists())
    return f"{name} by {os.getpid()}"


@app.task(isolation="process")
def hold_in_process(ctx: Context, log: str, name: str) -> str:
    note(log, name, os.getpid(), ctx.attempt, ctx.fencing_token)
    within(600, lambda: Path(f"{log}.{name}").exists())
    return f"{name} by {os.getpid()}"


@app.task
async def block(ctx: Context, log: str, name: str) -> str:
    """Keep the event loop from turning until a file of this name is there."""
    note(log, name, os.getpid(), ctx.attempt, ctx.fencing_token)
    within(600, lambda: Path(f"{log}.{name}").exists())
    return f"{name} by {os.getpid()}"


@app.task(retry=Retry(max_attempts=1))
async def poison(ctx: Context, log: str) -> None:
    """Kill the worker."""
    note(log, "poison", os.getpid(), ctx.attempt, ctx.fencing_token)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
async def quick(log: str, name: str) -> str:
    note(log, name, os.getpid(), 1, 1)
    return f"{name} by {os.getpid()}"


def _say(event: Event | str, **told: Any) -> None:
    if isinstance(event, Event):
        told = {"event": type(event).__name__, **msgspec.to_builtins(event)}
    else:
        told = {"event": event, **told}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


async def main(settings: dict[str, Any]) -> None:
    app.use(url=settings.pop("url"), namespace=settings.pop("namespace"))
    app.observe(_say)
    lease = LeaseConfig(lease_s=settings.pop("lease_s", 1))
    worker = Worker(app, WorkerConfig(**{"lease": lease, "concurrency": 10, **settings}))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    running = asyncio.create_task(worker.run())
    await worker.ready.wait()
    _say("ready", pid=os.getpid(), workers=worker.worker_ids)
    _say("ended", clean=await running)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(main(json.loads(sys.argv[1])))
