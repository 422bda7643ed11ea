"""How a worker is told to stop, and an end that is reached, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stops:
    """What a worker was told of its end.

    Attributes:
        takes_no_more: it ends when all that runs has ended, however long that takes.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._runs_out = asyncio.Event()
        self._is_told = False
        self._now = asyncio.Event()
        self.takes_no_more = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        """Whether it takes no more jobs."""
        return self.takes_no_more.is_set()

    @property
    def is_timed(self) -> bool:
        """Whether it ends when the grace is over, if not before."""
        return self._runs_out.is_set()

    def tell(self) -> None:
        """Somebody waits; told twice, nothing is waited for any more."""
        if self._is_told:
            self._now.set()
        self._is_told = True
        self._runs_out.set()

    def run_out(self) -> None:
        """The grace begins, though nobody has said so."""
        self._runs_out.set()

    async def grace(self) -> None:
        """Return when an end cannot be waited for any longer."""
        await self._runs_out.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace_s):
                await self._now.wait()


async def unless(stopped: asyncio.Event, doing: Coroutine[Any, Any, T]) -> T | None:
    """Its result, or None if it was stopped before: then it is cancelled.

    Raises:
        BaseException: what it raised.
    """
    task = asyncio.create_task(doing)
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stopping):
            one.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


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
