"""Workers and schedulers in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from rqueue.app import App
from rqueue.config import LeaseConfig, WorkerConfig
from rqueue.worker.scheduler import Scheduler
from rqueue.worker.worker import Worker
from tests.support.waiting import PATIENCE_S

SHORT = LeaseConfig(lease_s=1)


@asynccontextmanager
async def working(app: App, **config: Any) -> AsyncGenerator[Worker]:
    """A worker, ready; at the end it gives back what it still runs."""
    worker = Worker(app, WorkerConfig(**{"lease": SHORT, "concurrency": 10, **config}))
    running = asyncio.create_task(worker.run())
    await _until(worker.ready, running)
    try:
        yield worker
    finally:
        worker.stop()
        worker.stop()
        async with asyncio.timeout(PATIENCE_S):
            await running


@asynccontextmanager
async def scheduling(
    app: App, names: Sequence[str] = (), lease: LeaseConfig = SHORT
) -> AsyncGenerator[Scheduler]:
    """A scheduler, ready."""
    scheduler = Scheduler(app, names, lease)
    running = asyncio.create_task(scheduler.run())
    await _until(scheduler.ready, running)
    try:
        yield scheduler
    finally:
        scheduler.stop()
        async with asyncio.timeout(PATIENCE_S):
            await running


async def burst(app: App, **config: Any) -> bool:
    """A worker that works until nothing is left; whether it ended cleanly."""
    settings = {"lease": SHORT, "concurrency": 10, "burst": True, **config}
    async with asyncio.timeout(PATIENCE_S):
        return await Worker(app, WorkerConfig(**settings)).run()


async def _until(ready: asyncio.Event, running: asyncio.Task[Any]) -> None:
    waiting = asyncio.create_task(ready.wait())
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        await running  # raises why
