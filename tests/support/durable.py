"""Enqueueing one job, both ways, as tests of durability do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rqueue.app import App
from rqueue.durability import Durability
from rqueue.handle import Job

HASTY = Durability(mode="replicated", timeout_s=0.05)

both_ways = pytest.mark.parametrize("blocking", [True, False])


async def enqueue(app: App, *, blocking: bool, **options: Any) -> Job[Any]:
    task = app.remote("x").options(**options)
    return await (asyncio.to_thread(task.enqueue_sync) if blocking else task.enqueue())
