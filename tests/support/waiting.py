"""Waiting without sleeping: for an event, or for a condition, always with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar

from rqueue.app import App
from rqueue.events import Event

E = TypeVar("E", bound=Event)
T = TypeVar("T")

PATIENCE_S = 20.0
"""Longer than anything takes on a busy machine; nothing waits so long unless it is broken."""
_LOOK_S = 0.005


class Ears:
    """All events of an app, and a way to wait for those to come."""

    def __init__(self, app: App) -> None:
        self.heard: list[Event] = []
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        app.observe(self._hear)

    def _hear(self, event: Event) -> None:  # also called by the threads of heartbeats and reapers
        self.heard.append(event)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    def of(self, kind: type[E], **fields: Any) -> list[E]:
        """Those of a kind, with these values."""
        return [
            one
            for one in self.heard
            if isinstance(one, kind) and all(getattr(one, k) == v for k, v in fields.items())
        ]

    async def hears(self, kind: type[E], count: int = 1, **fields: Any) -> list[E]:
        """Wait until so many came; those that came."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := self.of(kind, **fields)) < count:
                self._news.clear()
                await self._news.wait()
        return found


async def eventually(look: Callable[[], Awaitable[T] | T], seconds: float = PATIENCE_S) -> T:
    """Look until what is seen is true; for what nobody announces."""
    deadline = time.monotonic() + seconds
    while True:
        seen: Any = look()
        if isawaitable(seen):
            seen = await seen
        if seen:
            return seen
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        await asyncio.sleep(_LOOK_S)


def within(seconds: float, look: Callable[[], T]) -> T:
    """``eventually`` for blocking code."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        time.sleep(_LOOK_S)
    return seen
