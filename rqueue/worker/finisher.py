"""The finisher: writes outcomes, gathered while the last batch is on its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import copy_context

from rqueue.config import KIB
from rqueue.errors import CorruptKey, StoreError
from rqueue.store.calls.entries import Settlement, finish, with_uniques
from rqueue.store.transport import AsyncTransport
from rqueue.worker.lease import QueueLease
from rqueue.worker.pulse import FINISH, Pulse

logger = logging.getLogger("rqueue")

BATCH = 100
BATCH_BYTES = 8 * KIB * KIB
"""Bytes of one trip: a larger one may be above what Redis takes from a client."""
_PAUSE_S = 1.0

GIVEN_UP = "given up"
"""Instead of an answer of Redis: nobody asks any more, the lease will bring the job back."""
Then = Callable[[str], None]
_Waiting = list[tuple[Settlement, Then]]


class Finisher:
    """Group commit by lease: one trip at a time, everything that came meanwhile in the next.

    Low load: every outcome goes at once. High load: batches grow by themselves.

    Args:
        transport: to Redis.
        pulse: beats while a trip is under way.
        on_told: called when all outcomes of a batch were told how Redis answered.

    Attributes:
        on_trip_ended: called when a batch was written, or could not be.
    """

    def __init__(
        self, transport: AsyncTransport, pulse: Pulse, on_told: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._on_told = on_told
        self._pulse = pulse
        self.on_trip_ended: Callable[[], None] = lambda: None
        self._waiting: dict[QueueLease, _Waiting] = {}
        self._trips: dict[QueueLease, asyncio.Task[None]] = {}
        self._context = copy_context()

    def submit(self, lease: QueueLease, settlement: Settlement, then: Then) -> None:
        """Write one outcome; ``then`` is told how Redis answered.

        That is ``recorded``, ``already``, ``stale``, ``lost``, ``corrupt`` or ``fenced``; what
        begins with ``failed`` is an error of ours, and ``GIVEN_UP`` no answer at all.
        """
        self._waiting.setdefault(lease, []).append((settlement, then))
        trips = self._trips.get(lease)
        if trips is None or trips.done():
            name = f"rqueue-finish-{lease.queue}"
            # Not in the context of the job that happens to come first.
            self._trips[lease] = asyncio.create_task(
                self._make_trips(lease), name=name, context=self._context
            )

    @property
    def backlog(self) -> int:
        """Outcomes that wait for a trip."""
        return sum(map(len, self._waiting.values()))

    async def drain(self, seconds: float | None = None) -> bool:
        """Wait until everything submitted so far was answered; False when time is over first.

        Then the trips are given up: their jobs come back when the lease has ended.
        """
        try:
            async with asyncio.timeout(seconds):
                while under_way := [trips for trips in self._trips.values() if not trips.done()]:
                    await asyncio.wait(under_way)
        except TimeoutError:
            for trips in self._trips.values():
                trips.cancel()
            return False
        return True

    async def _make_trips(self, lease: QueueLease) -> None:
        part = f"finish {lease.queue}"
        try:
            while waiting := self._waiting.pop(lease, None):
                count = _fitting(waiting)
                if len(waiting) > count:
                    self._waiting[lease] = waiting[count:]
                self._pulse.beat(part)
                await self._make_trip(lease, waiting[:count])
                self.on_trip_ended()
        finally:
            self._pulse.end(part)

    async def _make_trip(self, lease: QueueLease, batch: _Waiting) -> None:
        settlements = [settlement for settlement, _ in batch]
        try:
            said = await self._send(lease, settlements)
        except Exception as error:  # what came meanwhile still goes
            logger.exception("outcomes not written")
            said = f"failed: {error}"
        except BaseException:
            _tell(batch, [GIVEN_UP] * len(batch))
            raise
        _tell(batch, [said] * len(batch) if isinstance(said, str) else said)
        try:
            self._on_told()
        except Exception:  # what listens must not keep what came meanwhile from going
            logger.exception("a batch of outcomes was written, and not counted")

    async def _send(self, lease: QueueLease, settlements: list[Settlement]) -> list[str] | str:
        """Send until Redis answers; after the lease has ended the jobs are somebody else's."""
        while not lease.is_fenced:
            try:
                said = await self._transport.send(finish(lease.keys, lease.worker, settlements))
                self._pulse.answered(FINISH)
                return await self._declared(lease, settlements, said)
            except CorruptKey:
                return "corrupt"
            except StoreError as error:
                logger.warning("outcomes not written, trying again: %s", error)
                self._pulse.beat(f"finish {lease.queue}")
                await asyncio.sleep(_PAUSE_S)
        return "fenced"

    async def _declared(
        self, lease: QueueLease, settlements: list[Settlement], said: list[str] | str
    ) -> list[str] | str:
        """Send once more what was answered ``undeclared``, with the locks their records name."""
        if isinstance(said, str) or "undeclared" not in said:
            return said
        places = [n for n, one in enumerate(said) if one == "undeclared"]
        flow = with_uniques(lease.keys, [settlements[n] for n in places])
        again = await self._transport.run(flow)
        answers = await self._transport.send(finish(lease.keys, lease.worker, again))
        if isinstance(answers, str):
            return answers
        for n, one in zip(places, answers, strict=True):
            said[n] = one
        return said


def _tell(batch: _Waiting, answers: list[str]) -> None:
    for (_, then), answer in zip(batch, answers, strict=True):
        then(answer)


def _fitting(waiting: _Waiting) -> int:
    """How many of them go into the next trip: at least one, by number and by size."""
    size = 0
    for count, (settlement, _) in enumerate(waiting[:BATCH]):
        size += settlement.size
        if size > BATCH_BYTES and count:
            return count
    return min(len(waiting), BATCH)
