"""A schedule that ticks every second, and what must have become of each tick (I8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from rqueue import App
from rqueue.schedule import tick_name
from rqueue.store.call import Call
from rqueue.store.calls import cron
from tests.faults.evidence import Evidence, Violation
from tests.faults.stage import NAMESPACE, Stage

NAME = "each-second"
_PERIOD_MS = 1000
AHEAD_S = 2
"""It begins to tick so long after it was put."""


def i8_ticks_stand_in_order(evidence: Evidence) -> Iterator[Violation]:
    """The ticks that a schedule remembers: each once, in order, none missing.

    That each tick since it was put has its job is told by I1, for all are written down as asked.
    """
    for line in evidence.of("ticks"):
        for before, after in pairwise(line["ran"]):
            if after - before != _PERIOD_MS:
                yield Violation("I8", f"a tick at {before}, and the next at {after}")
    told = Counter(
        (line["schedule"], line["tick_ms"])
        for line in evidence.of("ScheduleTicked")
        if line["said"] == "ran"
    )
    for (schedule, tick), count in sorted(told.items()):
        if count > 1:
            yield Violation("I8", f"the tick of {schedule} at {tick} ran twice")


class EachSecond:
    """The schedule of a stage: there from now on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        app = self._app()
        schedules, call = app.schedules_sync, app.remote("work").call(0)
        now_ms: int = app.connections.blocking().send(cron.time_ms())
        # From then on, or a tick might be over before anybody asked which one is the first.
        start = datetime.fromtimestamp(now_ms // 1000 + AHEAD_S, UTC)
        schedules.upsert(
            NAME, call, every=1, missed="all", missed_cap=10_000, overlap="allow", start=start
        )
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


class Herd:
    """Many jobs and schedules that are due at one moment.

    Args:
        stage: where.
        in_s: seconds from now, at the least.
        jobs: how many are sent for that moment.
        schedules: how many tick at it, and then not before a day has passed.
    """

    def __init__(self, stage: Stage, in_s: int, jobs: int, schedules: int) -> None:
        self._stage = stage
        app = App(stage.url, namespace=NAMESPACE, protection=stage.protection)
        now_ms: int = app.connections.blocking().send(cron.time_ms())
        moment = datetime.fromtimestamp(now_ms // 1000 + in_s, UTC)
        task = app.remote("work")
        self._tick_ms = round(moment.timestamp() * 1000)
        self._schedules = [f"tick-{number}" for number in range(schedules)]
        names = [f"herd-{number}" for number in range(jobs)]
        calls = [task.options(job_id=name, run_at=moment).call(0) for name in names]
        for name in self._schedules:
            app.schedules_sync.upsert(
                name, task.call(0), cron=f"{moment:%-S %-M %-H} * * *", missed="all"
            )
            names.append(tick_name(name, self._tick_ms))
        app.enqueue_many_sync(calls)
        for name in names:
            stage.history.write("asked", job=name, task="work", options={})
            stage.history.write("answered", job=name, status="accepted", holder=name)
        app.close_sync()

    def has_ticked(self) -> bool:
        """Whether every schedule has: a scheduler that was killed never told of what it fired."""
        stage = self._stage
        app = App(stage.url, namespace=NAMESPACE, protection=stage.protection)
        asked = cron.planned(stage.keys, self._schedules)
        plans: list[cron.Plan | None] = app.connections.blocking().send_many(asked)
        app.close_sync()
        return all(plan and plan.mark_ms >= self._tick_ms for plan in plans)
