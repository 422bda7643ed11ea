"""Who is dead, by a reaper's own monotonic clock; pure, so that every case can be a test."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from math import inf

import msgspec

from rqueue.worker.lease import COUNTER_STEP

REAPERS = 5
"""How many workers of a queue reap at once; the others only step in when these do not."""


def lease_of(counter: float, otherwise: float) -> float:
    """Seconds of the lease whose counter this is; ``otherwise`` of one that does not say."""
    if not COUNTER_STEP < counter < inf:  # a stranger's may be infinite
        return otherwise
    return int(counter) % COUNTER_STEP / 100 or otherwise


class Seen(msgspec.Struct):
    """A lease as it was first seen at its present value.

    Attributes:
        counter: the value.
        since: when the look that first showed it was answered, monotonic seconds.
        needed: seconds without change that make the worker dead.
    """

    counter: float
    since: float
    needed: float


class Watch:
    """The leases of one queue, look after look.

    A worker is dead when its value has not changed over looks that span a whole lease, its own: the
    counter tells how long that is. The span is
    from the answer to the first look to the sending of the last, so that slow answers cannot
    lengthen it. After a gap between two looks (an outage, a paused process) nothing seen before
    counts, and two leases are asked for: workers need time to be heard again.
    """

    def __init__(self, lease_s: float, gap_s: float) -> None:
        self._lease_s = lease_s
        self._gap_s = gap_s
        self._seen: dict[str, Seen] = {}
        self._last: float | None = None

    def look(
        self, leases: Mapping[str, float], sent: float, received: float, patience: int = 1
    ) -> list[tuple[str, float]]:
        """Take one look; returns (worker, counter) of those that are dead.

        Args:
            leases: every worker and its value.
            sent: when the look was sent, monotonic seconds.
            received: when it was answered.
            patience: how many times the usual span makes a worker dead.
        """
        leases_needed = 1
        if self._last is not None and received - self._last > self._gap_s:
            self._seen.clear()
            leases_needed = 2
        self._last = received
        dead: list[tuple[str, float]] = []
        for worker, counter in leases.items():
            seen, lease_s = self._seen.get(worker), lease_of(counter, self._lease_s)
            if seen is None:
                self._seen[worker] = Seen(counter, received, leases_needed * lease_s)
            elif seen.counter != counter:
                self._seen[worker] = Seen(counter, received, lease_s)
            elif sent - seen.since >= seen.needed * patience:
                dead.append((worker, counter))
        for worker in self._seen.keys() - leases.keys():
            del self._seen[worker]
        return dead

    def due(self, sent: float, patience: int = 1) -> float:
        """The earliest moment at which a look can find somebody dead who was not yet at ``sent``.

        Infinite when there is none.
        """
        ends = (one.since + one.needed * patience for one in self._seen.values())
        return min((end for end in ends if end > sent), default=inf)


def is_reaper(worker: str, leases: Mapping[str, float]) -> bool:
    """Whether this worker is one of the few that reap: a stable choice without a leader."""
    chosen = sorted(leases, key=_rank)[:REAPERS]
    return worker in chosen


def _rank(worker: str) -> bytes:
    return blake2b(worker.encode(), digest_size=8).digest()
