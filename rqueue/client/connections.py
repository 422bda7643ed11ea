"""Which transport belongs to whom: one for blocking code, one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from weakref import WeakKeyDictionary

from rqueue.client.coalescer import Coalescer
from rqueue.client.listener import ResultListener
from rqueue.config import StoreConfig
from rqueue.durability import Durability
from rqueue.store.calls.durability import Confirmation, confirmation
from rqueue.store.calls.queues import announce
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport, Transport


class LoopConnections:
    """What one event loop uses: a connection made in one loop cannot serve another."""

    def __init__(self, config: StoreConfig) -> None:
        self.transport = AsyncTransport(config)
        self.listener = ResultListener(self.transport, config.namespace)
        self._coalescers: dict[tuple[str, Durability], Coalescer] = {}

    def coalescer(self, queue: str, wish: Durability) -> Coalescer | None:
        """Who sends the jobs of this queue that are to be as durable as this; None = nobody yet."""
        return self._coalescers.get((queue, wish))

    def open_coalescer(self, keys: QueueKeys, sure: Confirmation) -> Coalescer:
        """Who shall send them; the same that was opened meanwhile, if one was."""
        made = Coalescer(self.transport, keys, sure)
        return self._coalescers.setdefault((keys.queue, sure.wish), made)

    async def close(self) -> None:
        """Hang up."""
        await self.listener.close()
        await self.transport.close()


class Connections:
    """Every connection of an app in this process, made when first asked for."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopConnections] = (
            WeakKeyDictionary()
        )
        self._blocking: Transport | None = None
        self._lock = threading.Lock()
        self._announced: set[str] = set()
        self._sure: dict[Durability, Confirmation] = {}

    def here(self) -> LoopConnections:
        """The connections of the running loop."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            found = self._loops[loop] = LoopConnections(self._config)
        return found

    def blocking(self) -> Transport:
        """The connections of blocking code."""
        with self._lock:
            if self._blocking is None:
                self._blocking = Transport(self._config)
            return self._blocking

    async def announce(self, queue: str) -> None:
        """Put a queue into the registry, once per process."""
        if queue not in self._announced:
            await self.here().transport.send(announce(self._config.namespace, queue))
            self._announced.add(queue)

    def announce_sync(self, queue: str) -> None:
        """``announce`` for blocking code."""
        if queue not in self._announced:
            self.blocking().send(announce(self._config.namespace, queue))
            self._announced.add(queue)

    async def sure(self, wish: Durability) -> Confirmation:
        """How to confirm an enqueue; the server is asked once per process.

        Raises:
            ConfigError: it cannot promise this.
        """
        found = self._sure.get(wish)
        if found is None:
            found = self._sure[wish] = await self.here().transport.run(confirmation(wish))
        return found

    def sure_sync(self, wish: Durability) -> Confirmation:
        """``sure`` for blocking code."""
        found = self._sure.get(wish)
        if found is None:
            found = self._sure[wish] = self.blocking().run(confirmation(wish))
        return found

    async def close(self) -> None:
        """Hang up in the running loop, and in blocking code; if cancelled, call it again."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is not None:
            await found.close()
            if self._loops.get(loop) is found:
                del self._loops[loop]
        self.close_sync()

    def close_sync(self) -> None:
        """Hang up in blocking code."""
        if self._blocking is not None:
            self._blocking.close()
            self._blocking = None
