"""The reaper: fences dead workers, and moves what they held to where others find it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from rqueue.clock import monotonic, now_ms
from rqueue.codec import CRASH, CRASH_MESSAGE, encode_error
from rqueue.config import LeaseConfig
from rqueue.errors import StoreError
from rqueue.events import Observers, WorkerReaped
from rqueue.job import AttemptError
from rqueue.store.calls import leases, workers
from rqueue.store.calls.leases import Abandoned, Seen
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import Transport
from rqueue.worker.watch import Watch, is_reaper

logger = logging.getLogger("rqueue")

_BETWEEN_LOOKS_S = 0.05
_AGAIN_S = 0.25
"""After a look that failed, if that is not longer than usual."""
_DISMISS_LEASES = 4
"""In as many leases the registry of workers is looked through once though nobody was found dead:
the answer to a fence may be lost, and who never held a job has no consumer to be found by."""


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
        self._acts = True
        self._sweep_at = self._dismiss_at = 0.0
        self.look_at = 0.0
        """When to look next, monotonic seconds; soon after a look that failed."""

    def look(self) -> None:
        """One look at all leases, as a scheduler; fences and sweeps what it finds dead.

        Raises:
            StoreError: the look failed; it counts as none.
        """
        sent = monotonic()
        self._look_soon(sent)
        seen = self._transport.send(leases.look(self._keys, sweep=self.wants_sweep(sent)))
        self.heed(seen, sent, monotonic())

    def wants_sweep(self, now: float) -> bool:
        """Whether the next look shall list consumers without a lease as well."""
        return self._acts and now >= self._sweep_at

    def heed(self, seen: Seen, sent: float, received: float, me: str | None = None) -> None:
        """What one look has shown: fence and sweep who is dead.

        Args:
            seen: the answer.
            sent: when the look was sent, monotonic seconds.
            received: when it was answered.
            me: the worker that looks; one that is not among the chosen few is more patient. None
                for a scheduler, which never is.

        Raises:
            StoreError: somebody dead could not be fenced or swept up.
        """
        self._look_soon(received)
        # The chosen few may all be dead: everybody watches, the others act a lease later.
        self._acts = me is None or is_reaper(me, seen.standing)
        patience = 1 if self._acts else 2
        dead = self._watch.look(seen.standing, sent, received, patience)
        if seen.abandoned is not None:
            self._sweep_at = received + self._times.lease_s
        try:
            fenced = [worker for worker, counter in dead if self._fence(worker, counter)]
            if fenced:
                self.sweep()
            elif seen.abandoned or (seen.abandoned is not None and received >= self._dismiss_at):
                self._clear(seen.abandoned)
        except StoreError:
            # Who was fenced, but for the answer, is seen dead no more: only a sweep finds it.
            self._sweep_at = 0.0
            raise
        # As soon as somebody can be dead: it takes a lease and the time to the first look, no more.
        due = max(self._watch.due(sent, patience), received + _BETWEEN_LOOKS_S)
        self.look_at = min(received + self._times.renew_s, due)

    def _look_soon(self, now: float) -> None:
        self.look_at = now + min(_AGAIN_S, self._times.renew_s)

    def fence(self, prefix: str, cause: str) -> None:
        """Fence every worker whose id begins so: for a parent that saw its child end.

        Args:
            prefix: how the ids of the dead process begin.
            cause: how it ended, for the history of the jobs it held.
        """
        standing = self._transport.send(leases.leases(self._keys))
        for worker in standing:
            if worker.startswith(prefix):
                error = encode_error(_crash(worker, {prefix: cause}))
                flow = leases.fence_and_reap(self._keys, worker, error)
                try:
                    self._tell(worker, self._transport.run(flow))
                except Exception:  # what it holds cannot be read; it must be dead all the same
                    logger.debug("worker=%s is fenced before it is reaped", worker, exc_info=True)
                    self._transport.send(leases.fence(self._keys, worker))
        self.sweep({prefix: cause})

    def sweep(self, causes: Mapping[str, str] | None = None) -> None:
        """Move what consumers without a lease hold, and forget those that hold nothing.

        Args:
            causes: what is known of how workers died, by the beginning of their ids.
        """
        seen = self._transport.send(leases.look(self._keys, sweep=True))
        self._clear(seen.abandoned or [], causes)

    def _clear(self, found: Sequence[Abandoned], causes: Mapping[str, str] | None = None) -> None:
        moved: dict[str, list[str]] = {}
        for one in found:
            if one.pending:
                error = encode_error(_crash(one.worker, causes or {}))
                flow = leases.reap(self._keys, one.worker, one.lane, error)
                moved.setdefault(one.worker, []).extend(self._transport.run(flow))
        for worker in {one.worker for one in found}:
            self._transport.send_many(leases.retire(self._keys, worker))
        self._transport.run(workers.dismiss_fenced(self._keys))
        self._dismiss_at = monotonic() + _DISMISS_LEASES * self._times.lease_s
        for worker, places in moved.items():
            self._tell(worker, places)

    def _tell(self, worker: str, places: Sequence[str]) -> None:
        # None: another reaper was first, or its keys have wrong types; the next sweep tries again.
        count = sum(place in _MOVED for place in places)
        if count:
            logger.warning("reaped worker=%s queue=%s jobs=%d", worker, self._keys.queue, count)
            self._observers.emit(WorkerReaped(queue=self._keys.queue, worker=worker, jobs=count))

    def _fence(self, worker: str, counter: float) -> bool:
        answer = self._transport.send(leases.fence(self._keys, worker, counter))
        if answer == "fenced":
            logger.warning("fenced worker=%s queue=%s", worker, self._keys.queue)
        return answer == "fenced"


_MOVED = frozenset({"suspect", "last", "dead", "cancelled"})


def _crash(worker: str, causes: Mapping[str, str]) -> AttemptError:
    known = (cause for prefix, cause in causes.items() if worker.startswith(prefix))
    message = next(known, CRASH_MESSAGE)
    return AttemptError(attempt=0, type=CRASH, message=message, at=now_ms(), worker=worker)
