"""Group commit for producers: concurrent enqueues of one loop share a trip to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from rqueue.store.calls.durability import Confirmation
from rqueue.store.calls.jobs import Enqueued, NewJob, enqueue, enqueue_confirmed
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport

BATCH = 500
"""Jobs of one trip; a script of this many runs for a few milliseconds."""


class Coalescer:
    """Sends the jobs of one queue: the first at once, those that come meanwhile together.

    All of them are to be equally durable. Nothing is delayed to make a batch: the first is on its
    way when the next of its turn of the loop are gathered, and from then on batches grow by
    themselves when trips are slower than callers. A cancelled caller stops waiting; the trip goes
    on for the others. Made in the loop it serves.

    Args:
        transport: makes the trips.
        keys: of the queue.
        sure: how durable the jobs are to be, and how that is asked.
    """

    def __init__(self, transport: AsyncTransport, keys: QueueKeys, sure: Confirmation) -> None:
        self.sure = sure
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._keys = keys
        self._waiting: list[tuple[NewJob, asyncio.Future[Enqueued]]] = []
        self._is_leading = False
        self._trips: asyncio.Task[None] | None = None

    def send(self, job: NewJob) -> Awaitable[Enqueued]:
        """What Redis says of this job; to be awaited at once, raises ``StoreError``."""
        is_under_way = self._trips is not None and not self._trips.done()
        if not self._is_leading and not is_under_way:
            # Nothing is under way: the caller makes the trip itself, without a task of its own.
            self._is_leading = True
            return self._lead(job)
        answer: asyncio.Future[Enqueued] = self._loop.create_future()
        self._waiting.append((job, answer))
        if not is_under_way:
            self._trips = asyncio.create_task(self._make_trips(), name="rqueue-enqueue")
        return answer

    async def _lead(self, job: NewJob) -> Enqueued:
        try:
            return (await self._said([job]))[0]
        finally:
            self._is_leading = False

    def _said(self, jobs: list[NewJob]) -> Awaitable[list[Enqueued]]:
        if self.sure.call is None:
            return self._transport.send(enqueue(self._keys, jobs))
        return self._transport.run(enqueue_confirmed(self._keys, jobs, self.sure.call))

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
