"""The fetcher: entries from Redis, never more than there are free slots."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from rqueue.clock import monotonic
from rqueue.config import WorkerConfig
from rqueue.errors import CorruptKey, StoreError
from rqueue.ids import lengthen
from rqueue.job import Delivery
from rqueue.store.calls import entries
from rqueue.store.keys import LANES
from rqueue.store.reader import BlockingReader
from rqueue.store.transport import AsyncTransport
from rqueue.worker.finisher import BATCH, Finisher
from rqueue.worker.lanes import lanes_of_turn, limits, order_of_queues
from rqueue.worker.lease import QueueLease
from rqueue.worker.membership import Membership
from rqueue.worker.pulse import FETCH, Pulse
from rqueue.worker.running import Running

logger = logging.getLogger("rqueue")

_LONGEST_BLOCK_S = 10.0
"""How long one blocking read waits at the most: where it hangs on a connection that is dead, and
nobody was told, nothing is fetched for this time and the reader's patience."""
_SHORTEST_BLOCK_MS = 100
_LIST_LEASES = 4
"""In as many leases a worker lists once what is pending with it, though no answer was lost."""
_PATIENCE_S = 1.0
_PAUSE_AFTER_ERROR_S = 0.5
_MOST_UNWRITTEN = 1000
_MOST_PER_FETCH = BATCH  # the finisher writes no more at a time: more would only pile up there


class Fetcher:
    """Reads the lanes in order; waits in Redis only when they are empty.

    Args:
        transport: of the worker's loop.
        config: queues, slots, fairness, burst.
        membership: the leases under which is read.
        running: where deliveries go.
        finisher: its backlog holds fetching back.
        pulse: a sign of life each round.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        config: WorkerConfig,
        membership: Membership,
        running: Running,
        finisher: Finisher,
        pulse: Pulse,
    ) -> None:
        self._transport = transport
        self._config = config
        self._membership = membership
        self._running = running
        self._finisher = finisher
        finisher.on_trip_ended = running.slots.stir
        self._slots = running.slots
        self._pulse = pulse
        self._reader = BlockingReader(transport)
        # Shorter than a lease: what a frozen worker's read takes is never a dead worker's. Shorter
        # than the patience of the heartbeat with a part that does not turn.
        longest_s = min(_LONGEST_BLOCK_S, config.lease.lease_s / 2, config.stall_limit_s / 4)
        self._longest_block_ms = round(longest_s * 1000)
        self._settle_at = self._reconcile_at = 0.0
        self._is_empty = self._is_kicked = False
        self._turn = self._block_turn = 0
        self._stopping = self.is_cut_off = False
        self._troubled: set[QueueLease] = set()
        self._kicks: asyncio.Future[None] | None = None

    def stop(self) -> None:
        """Fetch nothing more; a read in flight is let end, not cancelled."""
        self._stopping = True
        self.kick()

    def kick(self) -> None:
        """Look now: a queue was resumed, a suspect ended, we stop."""
        self._is_kicked = True
        self._slots.wake()
        self._kicks = asyncio.ensure_future(self._reader.unblock())

    async def run(self) -> None:
        """Fetch until stopped, or in burst mode until everything is empty."""
        try:
            while not self._stopping:
                self._pulse.beat(FETCH)
                try:
                    if await self._round():
                        return
                    if self.is_cut_off:
                        logger.warning("Redis answers again")
                    self.is_cut_off = False
                except StoreError as error:
                    self._reconcile_at = 0.0  # what the lost answer delivered is pending with us
                    if not self.is_cut_off:
                        logger.warning("nothing can be fetched, trying on: %s", error)
                    self.is_cut_off = True
                    await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
        finally:
            self._pulse.end(FETCH)
            await self._reader.close()

    async def _round(self) -> bool:
        """One look; True when a burst is over."""
        self._reader.listen()
        now, lease_s = monotonic(), self._config.lease.lease_s
        if now >= self._settle_at:
            self._running.settle_again()
            self._settle_at = now + lease_s
        if now >= self._reconcile_at:
            self._is_empty = False
            await self._reconcile()
            self._reconcile_at = monotonic() + _LIST_LEASES * lease_s
        if self._slots.free <= 0 or self._finisher.backlog > _MOST_UNWRITTEN:
            await self._slots.changed(_PATIENCE_S)
            return False
        # What a read waited for in vain need not be looked for again.
        if not self._is_empty and await self._take():
            return False
        if self._stopping:
            return False
        if self._config.burst:
            return await self._is_over()
        await self._wait_in_redis()
        return False

    async def _take(self) -> bool:
        """A non-blocking fetch from each queue in turn; whether anything came."""
        self._turn, came = self._turn + 1, False
        lanes = lanes_of_turn(self._turn, self._config.fairness)
        # Half of the slots at the most: the other half runs while the next fetch is on its way.
        free = min(self._slots.free, (self._slots.size + 1) // 2, _MOST_PER_FETCH)
        for queue in order_of_queues(self._config.queues, weighted=self._config.is_weighted):
            lease = self._membership.of(queue)
            wanted = limits(lanes, free, self._slots.suspects_allowed)
            if not wanted or lease.is_fenced or not self._has_room(lease):
                continue
            call = entries.fetch(lease.keys, lease.worker, free, wanted)
            try:
                fetched = await self._transport.send(call)
            except CorruptKey as error:  # the other queues are read all the same
                await self._heed(lease, str(error))
                continue
            self._pulse.answered(FETCH)
            came = bool(fetched.deliveries) or came
            free -= len(fetched.deliveries)  # also if they end at once: this queue may have more
            await self._receive(lease, fetched.deliveries)
            await self._heed(lease, fetched.status)
        return came

    def _has_room(self, lease: QueueLease) -> bool:
        """Whether so few endings of a queue wait for a key's repair that more may come."""
        return self._running.unsettled.count(lease) <= _MOST_UNWRITTEN

    async def _receive(self, lease: QueueLease, deliveries: list[Delivery]) -> None:
        alone: list[Delivery] = []
        for delivery in deliveries:
            if self._running.holds(delivery):
                continue  # groups that were made again deliver from the start
            is_surplus = (
                self._stopping
                or lease.is_paused
                or self._slots.free <= 0
                or (delivery.lane == "suspect" and self._slots.suspects_allowed <= 0)
            )
            if is_surplus:
                self._running.give_back(delivery, lease)
            elif delivery.lane == "last":
                alone.append(delivery)
            else:
                self._running.start(delivery, lease)
        for delivery in alone:
            await self._alone(delivery, lease)

    async def _alone(self, delivery: Delivery, lease: QueueLease) -> None:
        """Run a job that is one crash from the cap with nothing beside it.

        Nothing more is fetched and the others end first, so that it can kill no innocent; the mark
        in its record makes a death from here on its own.
        """
        attempt = self._running.start(delivery, lease, go=asyncio.Event())
        try:
            while not (attempt.has_ended or self._stopping or lease.is_fenced):
                self._pulse.beat(FETCH)
                if await self._running.wait(_PATIENCE_S, but=1):
                    break
            if attempt.has_ended or self._stopping or lease.is_fenced:
                return
            answer = await self._transport.send(entries.mark(lease.keys, lease.worker, delivery))
            logger.warning(
                "job=%s crashed %d workers; it runs alone",
                lengthen(delivery.job_id), delivery.crashes,
            )  # fmt: skip
            attempt.let_run(is_ours=answer == "marked")
        finally:
            attempt.let_go()
        while not (attempt.has_ended or self._stopping):
            self._pulse.beat(FETCH)
            await self._running.wait_for(attempt, _PATIENCE_S)

    async def _heed(self, lease: QueueLease, status: str) -> None:
        was_paused, lease.is_paused = lease.is_paused, status == "paused"
        if lease.is_paused and not was_paused:
            logger.info("queue=%s is paused", lease.queue)
        if status in ("ok", "paused"):
            self._troubled.discard(lease)
            return
        if status == "fenced":
            self._running.on_fenced(lease)
            return
        if lease not in self._troubled:
            self._troubled.add(lease)
            logger.error("queue=%s: %s", lease.queue, status)
        await self._restore(lease)

    async def _restore(self, lease: QueueLease) -> None:
        # Told already; the other lanes and queues are read all the same.
        with suppress(CorruptKey):
            if not await self._membership.restore_groups(lease):
                self._running.on_fenced(lease)

    async def _wait_in_redis(self) -> None:
        """Block for one entry. All streams of one read share the worker's name."""
        self._is_empty = self._is_kicked = False
        groups = self._readable()
        if not groups:
            await self._slots.changed(_PAUSE_AFTER_ERROR_S if self._troubled else _PATIENCE_S)
            return
        # More than one name only after a queue was fenced alone; they take turns.
        self._block_turn += 1
        leases = groups[self._block_turn % len(groups)]
        lanes = [lane for lane, _ in limits(LANES, self._slots.free, self._slots.suspects_allowed)]
        places = [(lease.keys, lane, lease.worker) for lease in leases for lane in lanes]
        longest_ms = self._longest_block_ms
        if any(lease in self._troubled for lease in self._membership):
            longest_ms = min(longest_ms, round(_PAUSE_AFTER_ERROR_S * 1000))
        block_ms = max(_SHORTEST_BLOCK_MS, longest_ms // len(groups))
        by_queue = {lease.queue: lease for lease in leases}
        try:
            read = await self._reader.read(places, block_ms)
        except StoreError as error:
            self._reconcile_at = 0.0
            for lease in leases:
                if "NOGROUP" in str(error) or "no longer exists" in str(error):
                    await self._restore(lease)
            raise
        self._pulse.answered(FETCH)
        # Only a fetch tells of a queue that was not in it: one that is paused, troubled or new.
        was_in_vain = not read and set(leases) == set(self._membership)
        self._is_empty = was_in_vain and not self._is_kicked
        for delivery in read:
            await self._receive(by_queue[delivery.queue], [delivery])
        await asyncio.sleep(0)  # what came begins before the next look, which would delay it

    def _readable(self) -> list[list[QueueLease]]:
        groups: dict[str, list[QueueLease]] = {}
        for lease in self._membership:
            # A key of a wrong type would fail the read for all: that queue is only looked at.
            is_sound = lease not in self._troubled and self._has_room(lease)
            if is_sound and not (lease.is_fenced or lease.is_paused):
                groups.setdefault(lease.worker, []).append(lease)
        return list(groups.values())

    async def _reconcile(self) -> None:
        """Start what is pending with us and in nobody's hands: what a lost answer delivered.

        No read is outstanding here, and only what was in hand neither before nor after the
        listing counts; so nothing is started twice.
        """
        for lease in self._membership:
            before = self._running.places()
            most = len(before) + self._slots.size + _MOST_PER_FETCH
            call = entries.pending(lease.keys, lease.worker, most)
            listed = await self._transport.send(call)
            after = self._running.places()
            lost = [
                (lane, entry)
                for lane, entry in listed
                if (lease.queue, lane, entry) not in before | after
            ]
            if lost:
                found = await self._transport.run(entries.read(lease.keys, lease.worker, lost))
                logger.warning("queue=%s: %d entries of a lost answer", lease.queue, len(found))
                await self._receive(lease, found)

    async def _is_over(self) -> bool:
        """Whether a burst may end: nothing came, nothing runs, nothing waits to be written."""
        if not await self._running.wait(_PATIENCE_S):
            return False
        await self._finisher.drain()
        return not await self._take()
