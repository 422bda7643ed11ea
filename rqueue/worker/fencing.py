"""What a worker does when a lease of its is gone: it stops what ran under it, and comes back."""

from __future__ import annotations

import asyncio
import logging

from rqueue.events import GroupsRestored, Observers, WorkerFenced
from rqueue.worker.fetcher import Fetcher
from rqueue.worker.lease import QueueLease
from rqueue.worker.membership import Membership
from rqueue.worker.running import Running
from rqueue.worker.stopping import Stops

logger = logging.getLogger("rqueue")

_PAUSE_S = 1.0


class Fencing:
    """Hears of lost leases in the event loop, and joins those queues anew.

    Args:
        membership: the leases.
        running: what runs under them.
        observers: who hears of it.
        stops: a worker that ends does not come back.
    """

    def __init__(
        self,
        membership: Membership,
        running: Running,
        observers: Observers,
        stops: Stops,
    ) -> None:
        self._membership = membership
        self._running = running
        self._observers = observers
        self._stops = stops
        self._rejoining: set[asyncio.Task[None]] = set()

    def on_fenced(self, lease: QueueLease, fetcher: Fetcher) -> None:
        """Redis, or the heartbeat, says that this lease is gone."""
        if lease.is_let_go:
            return
        lease.is_let_go = True
        lease.is_fenced = True
        lease.changed.set()
        stopped = self._running.stop_queue(lease)
        fetcher.kick()  # a read under the old name would take what it cannot run
        logger.error(
            "fenced worker=%s queue=%s: %d jobs stopped; they run elsewhere. It comes back under "
            "a new name", lease.worker, lease.queue, stopped,
        )  # fmt: skip
        self._observers.emit(WorkerFenced(queue=lease.queue, worker=lease.worker, jobs=stopped))
        if not self._stops.is_ending:
            rejoining = asyncio.create_task(self._rejoin(lease, fetcher), name="rqueue-rejoin")
            self._rejoining.add(rejoining)
            rejoining.add_done_callback(self._rejoining.discard)

    def on_restored(self, lease: QueueLease) -> None:
        """Groups that somebody had destroyed were made again."""
        self._observers.emit(GroupsRestored(queue=lease.queue, worker=lease.worker))

    def close(self) -> None:
        """Come back nowhere any more."""
        for rejoining in self._rejoining:
            rejoining.cancel()

    async def _rejoin(self, lease: QueueLease, fetcher: Fetcher) -> None:
        while not self._stops.is_ending:
            try:
                await self._membership.rejoin(lease)
            except Exception as error:  # whatever it is, without a lease nothing can be done
                logger.warning("cannot join queue=%s: %s", lease.queue, error)
                await asyncio.sleep(_PAUSE_S)
            else:
                fetcher.kick()
                return
