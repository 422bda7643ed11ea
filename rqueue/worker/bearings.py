"""What a worker asks Redis for now and then: the time there, and how long jobs should wait."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from rqueue.clock import monotonic, now_ms
from rqueue.errors import StoreError
from rqueue.store.calls.queues import bearings
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import Transport
from rqueue.worker.recorder import Recorder

logger = logging.getLogger("rqueue")

_EVERY_S = 60.0


class Bearings:
    """Asks, in the heartbeat's thread, behind a round that was answered.

    Args:
        recorder: measures by what is found.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._ask_at = 0.0
        self._queues: list[str] = []

    def take(self, transport: Transport, queues: Sequence[QueueKeys]) -> None:
        """Ask once more if that is due, or if there are other queues."""
        names = [keys.queue for keys in queues]
        if monotonic() < self._ask_at and names == self._queues:
            return
        self._queues = names
        self._ask_at = monotonic() + _EVERY_S
        sent = now_ms()
        try:
            redis_ms, targets = transport.run(bearings(queues))
        except StoreError as error:
            logger.debug("no bearings: %s", error)
            return
        self._recorder.skew_ms = redis_ms - (sent + now_ms()) / 2
        self._recorder.targets = targets
