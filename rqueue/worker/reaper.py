"""The reaper: fences dead workers, and moves what they held to where others find it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from rqueue.clock import monotonic, now_ms
from rqueue.codec import CRASH, CRASH_MESSAGE, encode_error
from rqueue.config import LeaseConfig
from rqueue.events import Observers, WorkerReaped
from rqueue.job import AttemptError
from rqueue.store.call import Call
from rqueue.store.calls import leases, queues
from rqueue.store.calls.leases import Abandoned
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import Transport
from rqueue.worker.watch import Watch, is_reaper

logger = logging.getLogger("rqueue")


class Reaper:
    """Watches the leases of one queue. Runs in a thread of its own, never in an event loop.

    Args:
        transport: a blocking transport of that thread.
        keys: the queue's keys.
        times: the lease's times.
        observers: who hears of reaped workers.
    """

    def __init__(
        self, transport: Transport, keys: QueueKeys, times: LeaseConfig, observers: Observers
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._times = times
        self._observers = observers
        self._watch = Watch(times.lease_s, times.gap_s)
        self._sweep_at = 0.0

    def look(self, me: str | None = None) -> None:
        """One look at all leases; fences and sweeps what it finds dead.

        Args:
            me: the worker that looks; one that is not among the chosen few is more patient.
                None for a scheduler, which never is.

        Raises:
            StoreError: the look failed; it counts as none.
        """
        sent = monotonic()
        # While writes are refused (a full disk, a primary that became a replica) nobody can renew.
        calls: list[Call[Any]] = [leases.writable(self._keys), leases.leases(self._keys)]
        _, standing = self._transport.send_many(calls)
        received = monotonic()
        # The chosen few may all be dead: everybody watches, the others act a lease later.
        patience = 1 if me is None or is_reaper(me, standing) else 2
        dead = self._watch.look(standing, sent, received, patience)
        if patience > 1 and not dead:
            return
        fenced = [worker for worker, counter in dead if self._fence(worker, counter)]
        if fenced or received >= self._sweep_at:
            self._sweep_at = received + self._times.lease_s
            self.sweep()

    def fence(self, prefix: str, cause: str) -> None:
        """Fence every worker whose id begins so: for a parent that saw its child end.

        Args:
            prefix: how the ids of the dead process begin.
            cause: how it ended, for the history of the jobs it held.
        """
        standing = self._transport.send(leases.leases(self._keys))
        for worker in standing:
            if worker.startswith(prefix):
                self._transport.send(leases.fence(self._keys, worker))
        self.sweep({prefix: cause})

    def sweep(self, causes: Mapping[str, str] | None = None) -> None:
        """Move what consumers without a lease hold, and forget those that hold nothing.

        Args:
            causes: what is known of how workers died, by the beginning of their ids.
        """
        found = self._transport.run(leases.abandoned(self._keys))
        moved: dict[str, int] = {}
        for one in found:
            if one.pending:
                error = encode_error(_crash(one.worker, causes or {}))
                moved[one.worker] = moved.get(one.worker, 0) + self._move(one, error)
        for worker in {one.worker for one in found}:
            self._transport.send_many(leases.retire(self._keys, worker))
        self._transport.run(queues.dismiss_fenced(self._keys))
        for worker, count in moved.items():
            if not count:  # another reaper was first, or its keys have wrong types
                continue
            logger.warning("reaped worker=%s queue=%s jobs=%d", worker, self._keys.queue, count)
            self._observers.emit(WorkerReaped(queue=self._keys.queue, worker=worker, jobs=count))

    def _fence(self, worker: str, counter: float) -> bool:
        answer = self._transport.send(leases.fence(self._keys, worker, counter))
        if answer == "fenced":
            logger.warning("fenced worker=%s queue=%s", worker, self._keys.queue)
        return answer == "fenced"

    def _move(self, one: Abandoned, error: bytes) -> int:
        # What cannot be moved ("corrupt") is tried again at the next sweep.
        answers = self._transport.run(leases.reap(self._keys, one.worker, one.lane, error))
        return sum(answer in _MOVED for answer in answers)


_MOVED = frozenset({"suspect", "last", "dead", "cancelled"})


def _crash(worker: str, causes: Mapping[str, str]) -> AttemptError:
    known = (cause for prefix, cause in causes.items() if worker.startswith(prefix))
    message = next(known, CRASH_MESSAGE)
    return AttemptError(attempt=0, type=CRASH, message=message, at=now_ms(), worker=worker)
