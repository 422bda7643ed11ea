"""A worker's lease on one queue, as the worker itself sees it."""

from __future__ import annotations

import asyncio
import os
import socket
from secrets import token_hex

from rqueue.clock import monotonic
from rqueue.store.keys import QueueKeys

COUNTER_STEP = 1_000_000
"""A counter grows by this. What is left over tells how long the lease is, in hundredths of a
second: a reaper with a lease of another length judges every worker by the worker's own."""


def first_counter(lease_s: float) -> int:
    """Where the counter of a lease starts."""
    return COUNTER_STEP + round(lease_s * 100)


def new_worker_id(prefix: str = "") -> str:
    """A name never used before: ids are not reused, so a fenced one stays fenced."""
    start = prefix or f"{socket.gethostname()[:32]}-{os.getpid()}"
    return f"{start}-{token_hex(5)}"


class QueueLease:
    """One lease. Written by the heartbeat thread, read by the event loop.

    Attributes:
        keys: the queue's keys.
        worker: the id that holds it; the consumer's name in the group.
        counter: the last value sent.
        is_fenced: it was taken away, or is given up; never comes back.
        is_let_go: its worker has stopped what ran under it.
        is_paused: the queue was last seen paused.
        lease_s: how long one renewal lasts.
        peers: how many workers had a lease on the queue when it was last renewed.
        changed: set in the event loop when it was renewed or fenced.
    """

    __slots__ = (
        "_good_until",
        "changed",
        "counter",
        "is_fenced",
        "is_let_go",
        "is_paused",
        "keys",
        "lease_s",
        "peers",
        "worker",
    )

    def __init__(self, keys: QueueKeys, worker: str, lease_s: float) -> None:
        self.keys = keys
        self.worker = worker
        self.counter = first_counter(lease_s)
        self.is_fenced = False
        self.is_let_go = False
        self.is_paused = False
        self.lease_s = lease_s
        self.peers = 1
        self.changed = asyncio.Event()
        self._good_until = 0.0

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self.keys.queue

    def next_counter(self) -> int:
        """A larger value for the next try, also when the last try got no answer."""
        self.counter += COUNTER_STEP
        return self.counter

    def renewed(self, sent: float) -> None:
        """A renewal sent at this monotonic time was answered with success."""
        self._good_until = sent + self.lease_s

    def may_start(self) -> bool:
        """Whether a handler may be started: later than this, somebody may have fenced us.

        A zombie that wakes up would start a job that runs elsewhere already. What runs is not
        stopped by this deadline, or every outage of Redis would kill long jobs.
        """
        return not self.is_fenced and monotonic() < self._good_until
