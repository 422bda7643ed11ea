"""The promoter: due jobs go from the schedule to their streams."""

from __future__ import annotations

from collections.abc import Sequence

from rqueue.events import JobsPromoted, Observers
from rqueue.store.calls.schedule import BATCH, promote_due
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport

LONGEST_SLEEP_S = 15.0
"""Even with nothing due: a wake-up that was lost costs this much at the most. One is lost where a
producer may not publish, and where a connection is dead and nobody was told; whoever connects anew
looks at once."""
_PAUSE_S = 1.0
_FIRST_BATCH = 50
"""Small, so that workers begin on it while the others follow."""


class Promoter:
    """Sleeps until the next job is due, and is kicked when an earlier one arrives."""

    def __init__(self, transport: AsyncTransport, keys: QueueKeys, observers: Observers) -> None:
        self.name = f"promoter of queue {keys.queue}"
        self._transport = transport
        self._keys = keys
        self._observers = observers
        self._stuck = 0
        self._due: Sequence[str] = ()

    async def run_once(self) -> float:
        """Move a batch of due jobs; seconds until the next look, 0 when there are more.

        Jobs that cannot go stay listed before all others: they are skipped until those behind them
        have gone, and tried again after a pause.
        """
        known, self._due = self._due, ()
        limit = BATCH if known else _FIRST_BATCH
        flow = promote_due(self._keys, limit, skip=self._stuck, ids=known)
        moved = await self._transport.run(flow)
        if moved.count:
            self._observers.emit(JobsPromoted(queue=self._keys.queue, count=moved.count))
        self._stuck += moved.stuck
        self._due = moved.after
        if self._due:
            return 0.0
        longest = _PAUSE_S if self._stuck else LONGEST_SLEEP_S
        self._stuck = 0
        return longest if moved.wait_ms is None else min(longest, moved.wait_ms / 1000)
