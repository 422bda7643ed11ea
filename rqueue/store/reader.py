"""The blocking read: a connection of its own, a bounded wait, and a way to end it early."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rqueue.errors import StoreError
from rqueue.job import Delivery
from rqueue.store.call import Call
from rqueue.store.calls.entries import blocking_reply, blocking_words
from rqueue.store.connection import ERROR_REPLY, LOST, pack_words, translate
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport
from rqueue.store.wire import Wire

_BETWEEN_TRIES_S = 0.005
_PATIENCE_S = 3.0
"""Beyond the block time: an answer later than this will not come (a half-open connection)."""

Place = tuple[QueueKeys, str, str]
"""Keys, lane, worker."""


class BlockingReader:
    """Waits for one entry in several streams.

    Never cancel a read: the entry that Redis has delivered meanwhile would stay pending with
    nobody at work on it. ``unblock`` ends the wait on the server's side instead. After any error
    the caller must look through its own pending entries.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._wire: Wire | None = None
        self._client_id = 0
        self._is_reading = False
        self._is_unwanted = False

    def listen(self) -> None:
        """From here on ``unblock`` counts: a read that begins after it does not wait."""
        self._is_unwanted = False

    async def read(self, places: Sequence[Place], block_ms: int) -> list[Delivery]:
        """Up to one entry of each stream, as soon as there is any; [] when the wait was in vain.

        Raises:
            StoreError: what was delivered, if anything, is not known.
        """
        try:
            wire = self._wire = self._wire or await self._connect()
            if self._is_unwanted:
                return []
            self._is_reading = True
            words = pack_words(blocking_words(places, block_ms))
            reply = await wire.ask(words, block_ms / 1000 + _PATIENCE_S)
        except (*LOST, ERROR_REPLY) as error:
            await self.close()
            raise translate(error) from error
        except BaseException:
            await self.close()
            raise
        finally:
            self._is_reading = False
        return blocking_reply(places, reply)

    async def unblock(self) -> None:
        """Let the present read end now, as if its time were over; the next does not begin."""
        self._is_unwanted = True
        args = (str(self._client_id), "TIMEOUT")
        try:
            while self._is_reading:
                if await self._transport.send(Call(("CLIENT", "UNBLOCK"), (), args, bool)):
                    return
                # Not blocked yet: the read is on its way, on another connection.
                await asyncio.sleep(_BETWEEN_TRIES_S)
        except StoreError:
            return  # the read ends by itself when its time is over

    async def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
            self._client_id = 0

    async def _connect(self) -> Wire:
        wire = await self._transport.connect()
        words = pack_words(["CLIENT", "ID"])
        try:
            self._client_id = int(await wire.ask(words, self._transport.config.timeout_s))
        except BaseException:
            wire.close()
            raise
        return wire
