"""Listening to channels: one connection that comes back by itself.

Messages of a broken connection are lost, so every listener is also told when it is connected
again, and reads the state anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import redis

from rqueue.config import StoreConfig
from rqueue.errors import StoreUnavailable
from rqueue.store.connection import LOST, blocking_pool, pack_words, pauses, translate
from rqueue.store.transport import AsyncTransport

logger = logging.getLogger("rqueue")

OnMessage = Callable[[str, str], None]
"""Called with the channel and the text."""


class Subscription:
    """Channels of one event loop.

    Args:
        transport: whose connections to use.
        channels: what to listen to; with a ``*`` in it, a pattern.
        on_message: called for every message.
        on_connected: called when the subscription stands, at first and after every break.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        channels: Sequence[str],
        on_message: OnMessage,
        on_connected: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._channels = channels
        self._on_message = on_message
        self._on_connected = on_connected

    async def run(self) -> None:
        """Listen until cancelled; connects again for ever."""
        waits = pauses(float("inf"))
        while True:
            try:
                await self._listen()
                waits = pauses(float("inf"))  # it stood: the next break is another one
            except StoreUnavailable as error:
                logger.debug("not subscribed, trying on: %s", error)
            await asyncio.sleep(next(waits))

    async def _listen(self) -> None:
        """Listen until the connection ends; raises ``StoreError`` when it cannot begin."""
        wire = await self._transport.connect(self._take)
        try:
            words = [
                pack_words(["PSUBSCRIBE" if "*" in name else "SUBSCRIBE", name])
                for name in self._channels
            ]
            patience_s = self._transport.config.timeout_s
            try:
                said = await wire.exchange(b"".join(words), len(words), patience_s)
                refused = next((one for one in said if isinstance(one, Exception)), None)
            except LOST as error:
                raise translate(error) from error
            if refused is not None:
                raise translate(refused) from refused
            self._on_connected()
            await wire.ended.wait()
        finally:
            wire.close()

    def _take(self, message: list[Any]) -> None:
        *_, channel, data = message
        self._on_message(channel.decode("utf-8", "replace"), data.decode("utf-8", "replace"))


_PAUSE_S = 0.1


class BlockingListener:
    """One channel of blocking code, on a connection of its own; a context manager."""

    def __init__(self, config: StoreConfig, channel: str) -> None:
        self._pool = blocking_pool(config)
        self._channel = channel
        self._patience_s = config.timeout_s
        self._pubsub: Any = None

    def __enter__(self) -> Self:
        """Subscribe; raises ``StoreUnavailable``."""
        self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._pool.disconnect()

    def wait(self, seconds: float) -> None:
        """Return when a message came, the connection broke and came back, or time is over."""
        end = time.monotonic() + seconds
        try:
            if self._pubsub is None:
                self._connect()
                return
            while (left := end - time.monotonic()) > 0:
                message = self._pubsub.get_message(timeout=left)
                if message is not None and message["type"] == "message":
                    return
        except (*LOST, StoreUnavailable):
            self._pubsub = None
            self._pool.disconnect()
            time.sleep(max(0.0, min(_PAUSE_S, end - time.monotonic())))

    def _connect(self) -> None:
        client: Any = redis.Redis(connection_pool=self._pool)
        pubsub = client.pubsub()
        try:
            pubsub.subscribe(self._channel)
            pubsub.get_message(timeout=self._patience_s)
        except redis.RedisError as error:
            raise translate(error) from error
        self._pubsub = pubsub
