"""Listening to channels: one connection that comes back by itself.

Messages of a broken connection are lost, so every listener is also told when it is connected
again, and reads the state anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import redis

from rqueue.config import StoreConfig
from rqueue.errors import StoreUnavailable
from rqueue.store.connection import LOST, blocking_pool, heeding_cancellation, pauses, translate
from rqueue.store.transport import AsyncTransport

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
            pubsub = self._transport.subscription()
            try:
                with heeding_cancellation():
                    await self._subscribe(pubsub)
                await self._listen(pubsub)
            except LOST:
                await asyncio.sleep(next(waits))
            except redis.ResponseError as error:
                problem = translate(error)
                if not isinstance(problem, StoreUnavailable):
                    raise problem from error
                await asyncio.sleep(next(waits))
            finally:
                await _close(pubsub)

    async def _subscribe(self, pubsub: Any) -> None:
        patterns = [name for name in self._channels if "*" in name]
        plain = [name for name in self._channels if "*" not in name]
        if patterns:
            await pubsub.psubscribe(*patterns)
        if plain:
            await pubsub.subscribe(*plain)

    async def _listen(self, pubsub: Any) -> None:
        missing = len(self._channels)
        while True:
            message = await pubsub.get_message(timeout=None)
            if message is None:
                continue
            if message["type"] in ("subscribe", "psubscribe"):
                missing -= 1
                if missing == 0:
                    self._on_connected()
            elif message["type"] in ("message", "pmessage"):
                channel, data = message["channel"], message["data"]
                self._on_message(channel.decode(), data.decode("utf-8", "replace"))


async def _close(pubsub: Any) -> None:
    try:
        await pubsub.aclose()
    except LOST:
        return


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
