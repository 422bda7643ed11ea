"""The promoter: due jobs go from the schedule to their streams."""

from __future__ import annotations

from rqueue.events import JobsPromoted, Observers
from rqueue.store.calls.schedule import promote_due
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport

LONGEST_SLEEP_S = 15.0
"""Even with nothing due: a wake-up that was lost costs this much at the most. One is lost where a
producer may not publish, and where a connection is dead and nobody was told; whoever connects anew
looks at once."""
_PAUSE_S = 1.0


class Promoter:
    """Sleeps until the next job is due, and is kicked when an earlier one arrives."""

    def __init__(self, transport: AsyncTransport, keys: QueueKeys, observers: Observers) -> None:
        self.name = f"promoter of queue {keys.queue}"
        self._transport = transport
        self._keys = keys
        self._observers = observers
        self._stuck = 0

    async def run_once(self) -> float:
        """Move up to 100 due jobs; seconds until the next look, 0 when there may be more.

        Jobs that cannot go stay listed before all others: they are skipped until those behind them
        have gone, and tried again after a pause.
        """
        moved = await self._transport.run(promote_due(self._keys, skip=self._stuck))
        if moved.count:
            self._observers.emit(JobsPromoted(queue=self._keys.queue, count=moved.count))
        if moved.count or moved.stuck:
            # What came between the look and the move woke nobody: those moved stood before it.
            self._stuck += moved.stuck
            return 0.0
        longest = _PAUSE_S if self._stuck or moved.listed else LONGEST_SLEEP_S
        self._stuck = 0
        return longest if moved.wait_ms is None else min(longest, moved.wait_ms / 1000)
