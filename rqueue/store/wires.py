"""The wires of a transport: one for all callers, more while it is held up, some for who waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from rqueue.store.connection import POOL_SIZE, heeding_cancellation
from rqueue.store.wire import Wire


class Wires:
    """Connections of one event loop, made when they are needed.

    Args:
        pool: of redis-py, which knows how to connect.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._shared: list[Wire] = []
        self._connecting: asyncio.Task[Wire] | None = None
        self._idle: list[Wire] = []
        self._room = asyncio.Semaphore(POOL_SIZE)

    @property
    def open(self) -> Wire | None:
        """A wire for a trip that is answered at once, if one can be had without waiting."""
        for wire in self._shared:
            if wire.is_open:
                return wire
        return None

    async def shared(self) -> Wire:
        """A wire for a trip that is answered at once; concurrent trips share it.

        Raises:
            redis.RedisError: there is none, and none can be made.
            OSError: likewise.
        """
        wire = self.open
        if wire is not None:
            return wire
        self._shared = [one for one in self._shared if not one.is_lost]
        if len(self._shared) >= POOL_SIZE:  # all are held up: it is the server that is slow
            return min(self._shared, key=lambda one: one.under_way)
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._share(), name="rqueue-connect")
            self._connecting.add_done_callback(self._connected)
        connecting, task = self._connecting, asyncio.current_task()
        try:
            # Who is cancelled leaves the connection to the others.
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if connecting.cancelled() and not (task and task.cancelling()):
                # Ours is the close, not the caller's cancellation.
                raise ConnectionAbortedError("the connections were closed") from None
            raise

    @asynccontextmanager
    async def own(self) -> AsyncGenerator[Wire]:
        """A wire of the caller's own, for what makes its connection wait."""
        async with self._room:
            idle = self._idle
            wire = self._idle_one() or await self.connect()
            try:
                yield wire
            except BaseException:  # also when cancelled: an answer may still come
                wire.close()
                raise
            if idle is self._idle:
                idle.append(wire)
            else:  # all was closed meanwhile
                wire.close()

    async def connect(self, on_message: Callable[[list[Any]], None] | None = None) -> Wire:
        """A new wire; the caller hangs up. ``on_message`` takes what a subscription brings."""
        connection: Any = self._pool.make_connection()
        try:
            with heeding_cancellation():
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Wire(connection, on_message)

    async def close(self) -> None:
        """Hang up everywhere."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for wire in (*self._shared, *self._idle):
            wire.close()
        self._shared, self._idle = [], []

    def _idle_one(self) -> Wire | None:
        while self._idle:
            wire = self._idle.pop()
            if not wire.is_lost:
                return wire
        return None

    async def _share(self) -> Wire:
        wire = await self.connect()
        self._shared.append(wire)
        return wire

    def _connected(self, connecting: asyncio.Task[Wire]) -> None:
        self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # whoever asked may be gone
