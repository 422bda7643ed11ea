"""Waiting for jobs to end without polling: one subscription, however many waits."""

from __future__ import annotations

import asyncio
from math import inf

from rqueue.clock import monotonic
from rqueue.config import check_range
from rqueue.errors import ResultTimeout
from rqueue.ids import lengthen, new_id, shorten
from rqueue.job import JobState
from rqueue.store.calls.jobs import Ending, awaiting
from rqueue.store.keys import QueueKeys, client_channel
from rqueue.store.subscription import BlockingListener, Subscription
from rqueue.store.transport import AsyncTransport, Transport

REREAD_S = 10.0
"""How often a wait reads again: a message lost with a connection costs this much at the most."""

_OVER = frozenset({"missing", *(state for state in JobState if state.is_final)})


class ResultListener:
    """The waits of one event loop."""

    def __init__(self, transport: AsyncTransport, namespace: str) -> None:
        self._transport = transport
        self._channel = client_channel(namespace, shorten(new_id()))
        self._waits: dict[str, set[asyncio.Event]] = {}
        self._connected = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def ending(self, keys: QueueKeys, job_id: str, timeout: float | None) -> Ending:
        """How a job ended, once it has.

        Raises:
            ResultTimeout: it has not within ``timeout`` seconds.
            StoreError: Redis cannot be asked.
        """
        end = _end(timeout)
        if _left(end) <= 0:  # one look, that nobody need be told of
            ending = await self._transport.send(awaiting(keys, job_id), _left(end))
            if ending.state in _OVER:
                return ending
            raise ResultTimeout(lengthen(job_id), timeout or 0)
        told = asyncio.Event()
        self._waits.setdefault(job_id, set()).add(told)
        try:
            await self._listen(_left(end))
            while True:
                look = awaiting(keys, job_id, self._channel)
                ending = await self._transport.send(look, _left(end))
                if ending.state in _OVER:
                    return ending
                left = _left(end)
                if left <= 0:
                    raise ResultTimeout(lengthen(job_id), timeout or 0)
                await _wait(told, min(left, REREAD_S))
        finally:
            self._forget(job_id, told)

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self, left: float) -> None:
        if self._listening is None or self._listening.done():
            subscription = Subscription(
                self._transport, [self._channel], self._on_message, self._on_connected
            )
            self._listening = asyncio.create_task(subscription.run(), name="rqueue-results")
        # Not connected in time is no error here: the job is read anyway, and read again later.
        if not self._connected.is_set():
            await _wait(self._connected, min(left, REREAD_S), keep=True)

    def _on_message(self, _channel: str, job_id: str) -> None:
        for event in self._waits.get(job_id, ()):
            event.set()

    def _on_connected(self) -> None:
        self._connected.set()
        for events in self._waits.values():
            for event in events:
                event.set()

    def _forget(self, job_id: str, told: asyncio.Event) -> None:
        events = self._waits.get(job_id, set())
        events.discard(told)
        if not events:
            self._waits.pop(job_id, None)


def ending_sync(
    transport: Transport, keys: QueueKeys, job_id: str, timeout: float | None
) -> Ending:
    """How a job ended, for blocking code: a connection of its own for each wait."""
    end = _end(timeout)
    ending = transport.send(awaiting(keys, job_id), _left(end))
    if ending.state in _OVER:
        return ending
    if _left(end) <= 0:
        raise ResultTimeout(lengthen(job_id), timeout or 0)
    with BlockingListener(transport.config, transport.channel) as listener:
        while True:
            ending = transport.send(awaiting(keys, job_id, transport.channel), _left(end))
            if ending.state in _OVER:
                return ending
            left = _left(end)
            if left <= 0:
                raise ResultTimeout(lengthen(job_id), timeout or 0)
            listener.wait(min(left, REREAD_S))


def _end(timeout: float | None) -> float | None:
    """When a wait is over; a time that has passed means one look."""
    return None if timeout is None else monotonic() + check_range(timeout, "timeout", -inf, inf)


def _left(end: float | None) -> float:
    return REREAD_S if end is None else end - monotonic()


async def _wait(event: asyncio.Event, seconds: float, *, keep: bool = False) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    if not keep:
        event.clear()
