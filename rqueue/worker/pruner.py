"""The pruner: forgets dead letters that are too old or too many."""

from __future__ import annotations

from collections.abc import Sequence

from rqueue.clock import now_ms
from rqueue.store.calls.queues import dead, dead_before, discard
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport

DEAD_KEPT_S = 180 * 24 * 3600
"""How long a dead letter waits for a human."""
DEAD_KEPT = 100_000
"""How many dead letters a queue keeps; the oldest go first."""

_INTERVAL_S = 120.0
_BATCH = 100


class Pruner:
    """One queue's dead set."""

    def __init__(self, transport: AsyncTransport, keys: QueueKeys) -> None:
        self.name = f"pruner of queue {keys.queue}"
        self._transport = transport
        self._keys = keys

    async def run_once(self) -> float:
        """Discard what is too old, then what is too much; up to 100 of each.

        At once again where there may be more; not for what could not be discarded, its record being
        of a wrong type: it would be listed again and again.
        """
        before = now_ms() - DEAD_KEPT_S * 1000
        old = await self._transport.send(dead_before(self._keys, before, _BATCH))
        is_more_old = await self._discard(old, str(before))
        surplus = await self._transport.send(dead(self._keys, DEAD_KEPT, _BATCH))
        is_more_surplus = await self._discard([job_id for job_id, _ in surplus], "")
        return 0.0 if is_more_old or is_more_surplus else _INTERVAL_S

    async def _discard(self, ids: Sequence[str], before: str) -> bool:
        """Whether a whole batch was there, and at least one of it is gone."""
        if not ids:
            return False
        answers = await self._transport.send(discard(self._keys, ids, before=before))
        return len(ids) == _BATCH and "discarded" in answers
