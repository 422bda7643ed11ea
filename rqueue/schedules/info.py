"""What is told of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from rqueue.clock import from_ms
from rqueue.cron import Cron, Every, Oddity, Ticks
from rqueue.errors import ConfigError
from rqueue.ids import lengthen
from rqueue.store.calls.cron import Plan, Ran
from rqueue.veiled import Veiled
from rqueue.zone import zone_of


class ScheduleInfo(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """A schedule, and how it fares.

    Attributes:
        name: the schedule.
        queue: where its jobs go.
        task: what they run.
        args: positional arguments of each run; what is sensitive is veiled.
        kwargs: by name, likewise.
        cron: the expression, or "".
        every_s: the period, or 0.
        tz: the zone of the expression.
        dst: what a change of the clocks does.
        missed: what becomes of ticks that nobody could fire.
        overlap: what a run that goes on means for the next tick.
        jitter_s: ticks are late by a part of it.
        start: the first moment at which it may tick; None = any.
        end: the last one; None = any.
        origin: ``code`` (declared with ``@app.cron``) or ``api``.
        is_paused: whether it fires only when it is told to.
        created: when it was put first.
        next_run: when it fires next; None = it does not by itself.
        last_run: when it last made a job, or passed over a tick.
        last_success: when the latest of its jobs ended well, as far as that is known: a job that
            ended is seen by the next tick, or as long as its record is kept.
        last_job: id of the latest job, or "".
        problem: why it cannot be read and does not fire, or "".
    """

    veiled = ("args", "kwargs")

    name: str
    queue: str
    task: str = ""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    cron: str = ""
    every_s: float = 0
    tz: str = ""
    dst: str = ""
    missed: str = ""
    overlap: str = ""
    jitter_s: float = 0
    start: datetime | None = None
    end: datetime | None = None
    origin: str
    is_paused: bool
    created: datetime | None
    next_run: datetime | None
    last_run: datetime | None
    last_success: datetime | None
    last_job: str = ""
    problem: str = ""

    def ticks(self) -> Ticks:
        """When it ticks, whatever its first and last moment.

        Raises:
            ConfigError: it has a problem, so that nobody knows.
        """
        if self.problem:
            raise ConfigError(f"schedule {self.name!r} cannot be read: {self.problem}")
        if not self.cron:
            return Every.of(self.every_s)
        dst: Any = self.dst or None
        return Cron.parse(self.cron, self.tz, dst)


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """A tick that is still to come, without jitter.

    Attributes:
        tick: the moment, in UTC.
        local: the same, in the zone of the schedule.
        oddity: ``moved`` (its local time does not exist: it ticks when the clock jumps over it),
            ``repeated`` (its local time comes twice) or "".
    """

    tick: datetime
    local: datetime
    oddity: Oddity = ""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one tick of a schedule.

    Attributes:
        tick: the moment it was meant for; of a run beside all ticks, when it was.
        at: when it was done, by Redis' clock.
        said: ``ran``, ``passed`` (missed, by its policy), ``overlapped`` (the run before went on),
            ``taken`` (there was a job of its name) or ``locked`` (another job held its unique key).
        since: the first of the ticks that were passed over together with this one, or None.
        job_id: its job, or "".
    """

    tick: datetime
    at: datetime
    said: str
    since: datetime | None = None
    job_id: str = ""


def tick_of(ran: Ran) -> Tick:
    """A line of the history, as people read it."""
    return Tick(
        tick=from_ms(ran.tick_ms),
        at=from_ms(ran.at_ms),
        said=ran.said,
        since=from_ms(ran.since_ms) if ran.since_ms else None,
        job_id=lengthen(ran.job_id) if ran.job_id else "",
    )


def coming_of(ticks: Ticks, tick_ms: int) -> Coming:
    """A tick that is to come, as people read it."""
    tick = from_ms(tick_ms)
    if not isinstance(ticks, Cron):
        return Coming(tick=tick, local=tick)
    local = tick.astimezone(zone_of(ticks.tz))
    return Coming(tick=tick, local=local, oddity=ticks.oddity(tick_ms))


def times_of(plan: Plan) -> dict[str, Any]:
    """What a plan says of itself, whatever its definition."""

    def moment(ms: int) -> datetime | None:
        return from_ms(ms) if ms else None

    return {
        "name": plan.name,
        "origin": plan.origin,
        "is_paused": plan.is_paused,
        "created": moment(plan.created_ms),
        "next_run": None if plan.is_paused or not plan.next_ms else moment(plan.due_ms),
        "last_run": moment(plan.last_run_ms),
        "last_success": moment(plan.last_success_ms),
        "last_job": lengthen(plan.last_job) if plan.last_job else "",
    }
