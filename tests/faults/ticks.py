"""A schedule that ticks every second, and what must have become of each tick (I8)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rqueue import App
from rqueue.schedule import tick_name
from rqueue.store.call import Call
from rqueue.store.calls import cron
from tests.faults.evidence import Evidence, Violation
from tests.faults.stage import NAMESPACE, Stage

NAME = "each-second"
_PERIOD_MS = 1000


def i8_ticks_stand_in_order(evidence: Evidence) -> Iterator[Violation]:
    """The ticks that a schedule remembers: each once, in order, none missing.

    That each tick since it was put has its job is told by I1, for all are written down as asked.
    """
    for line in evidence.of("ticks"):
        for before, after in pairwise(line["ran"]):
            if after - before != _PERIOD_MS:
                yield Violation("I8", f"a tick at {before}, and the next at {after}")
    told = [line["tick_ms"] for line in evidence.of("ScheduleTicked") if line["said"] == "ran"]
    for tick in sorted({one for one in told if told.count(one) > 1}):
        yield Violation("I8", f"the tick at {tick} ran twice")


class EachSecond:
    """The schedule of a stage: there from now on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        app = self._app()
        schedules, call = app.schedules_sync, app.remote("work").call(0)
        schedules.upsert(NAME, call, every=1, missed="all", missed_cap=10_000, overlap="allow")
        self._first = schedules.next(NAME, 1)[0]
        app.close_sync()

    def over(self) -> int:
        """Pause it, and write down every tick so far as a job that was asked for; how many."""
        app = self._app()
        app.schedules_sync.pause(NAME)
        transport = app.connections.blocking()
        ran: list[cron.Ran] = transport.send(cron.history(self._stage.keys, NAME))
        asked: Call[cron.Plan | None] = cron.read(self._stage.keys, NAME)
        plan = transport.send(asked)
        app.close_sync()
        assert plan is not None
        begin = round(self._first.timestamp() * 1000)
        ticks = range(begin, plan.mark_ms + 1, _PERIOD_MS)
        history = self._stage.history
        for tick in ticks:
            job = tick_name(NAME, tick)
            history.write("asked", job=job, task="work", options={})
            history.write("answered", job=job, status="accepted", holder=job)
        history.write("ticks", ran=[one.tick_ms for one in reversed(ran)])
        self._stage.notes["ticks"] = len(ticks)
        return len(ticks)

    def _app(self) -> App:
        stage = self._stage
        return App(stage.url, namespace=NAMESPACE, protection=stage.protection)
