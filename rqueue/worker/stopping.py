"""An end that is reached, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def to_the_end(ending: Coroutine[Any, Any, None]) -> None:
    """Await it to its end; a cancellation meanwhile comes afterwards.

    A heartbeat that nobody stops would renew the lease of a worker that is no more, for ever; a
    reaper would go on for a scheduler that is no more.
    """
    task = asyncio.create_task(ending, name="rqueue-end")
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
