"""An app under test: real jobs, a real worker, and a clock that only the test moves.

    async with Harness(app) as rq:
        await remind.options(delay="24h").enqueue("ann")
        await rq.clock.advance(hours=25)
        assert [run.task for run in rq.runs] == ["remind"]

Nothing is imitated: calls are encoded, scripts run in a server, a worker runs what is ready.
Delays, retries and schedules come due in the order of their times, a year of them in seconds.
"""

from __future__ import annotations

from rqueue.testing.clock import Clock
from rqueue.testing.harness import Harness
from rqueue.testing.runs import Run, StillBusy

__all__ = ["Clock", "Harness", "Run", "StillBusy"]
