"""Group commit for producers: concurrent enqueues of one loop share a trip to Redis."""

from __future__ import annotations

import asyncio

from rqueue.store.call import Call
from rqueue.store.calls.jobs import Enqueued, NewJob, enqueue, enqueue_confirmed
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport

BATCH = 500
"""Jobs of one trip; a script of this many runs for a few milliseconds."""


class Coalescer:
    """Sends the jobs of one queue: the first at once, those that come meanwhile together.

    All of them are to be equally durable. Nothing is delayed to make a batch; batches grow by
    themselves when trips are slower than callers. A cancelled caller stops waiting; the trip goes
    on for the others.

    Args:
        transport: makes the trips.
        keys: of the queue.
        confirm: asks how durable a trip's jobs are; None = that is not asked.
    """

    def __init__(
        self, transport: AsyncTransport, keys: QueueKeys, confirm: Call[int] | None = None
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._confirm = confirm
        self._waiting: list[tuple[NewJob, asyncio.Future[Enqueued]]] = []
        self._is_leading = False
        self._trips: asyncio.Task[None] | None = None

    async def send(self, job: NewJob) -> Enqueued:
        """What Redis said of this job; raises ``StoreError``."""
        if not self._is_leading and (self._trips is None or self._trips.done()):
            # Nothing is under way: the caller makes the trip itself, without a task of its own.
            self._is_leading = True
            try:
                return (await self._said([job]))[0]
            finally:
                self._is_leading = False
                self._go_on()
        answer: asyncio.Future[Enqueued] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, answer))
        return await answer

    async def _said(self, jobs: list[NewJob]) -> list[Enqueued]:
        if self._confirm is None:
            return await self._transport.send(enqueue(self._keys, jobs))
        return await self._transport.run(enqueue_confirmed(self._keys, jobs, self._confirm))

    def _go_on(self) -> None:
        if self._waiting:
            self._trips = asyncio.create_task(self._make_trips(), name="rqueue-enqueue")

    async def _make_trips(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                said = await self._said([job for job, _ in batch])
            except BaseException as error:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, answer), one in zip(batch, said, strict=True):
                if not answer.done():
                    answer.set_result(one)
