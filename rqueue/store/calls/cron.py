"""Schedules: put, fire, delete and read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rqueue.clock import held
from rqueue.store.call import Arg, Call
from rqueue.store.calls.jobs import NewJob
from rqueue.store.calls.schedule import Due
from rqueue.store.keys import PlanField, QueueKeys, schedules_registry
from rqueue.store.replies import mapping, number, texts, word
from rqueue.store.scripts import DUE, FIRE, FORGET, PLAN

BATCH = 100
"""Schedules of one round."""
HISTORY = 100
"""Ticks that a schedule remembers."""
_COUNT_DIGITS = 15
_ANYTHING = "*"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it stands in Redis.

    Attributes:
        name: of the schedule.
        definition: as it was put.
        revision: tells one definition from another.
        origin: ``code`` or ``api``; ``moving`` while it goes to another queue.
        is_paused: whether it fires only when it is told to.
        mark_ms: the last tick that is done; later ones are to come.
        next_ms: the tick after it; 0 = there is none.
        due_ms: when that one fires.
        created_ms: when it was put first.
        last_run_ms: when it last made a job, or passed a tick.
        last_success_ms: when the latest of its jobs ended well, as far as its later ticks saw.
        last_job: short id of the latest job.
    """

    name: str
    definition: bytes = b""
    revision: str = ""
    origin: str = ""
    is_paused: bool = False
    mark_ms: int = 0
    next_ms: int = 0
    due_ms: int = 0
    created_ms: int = 0
    last_run_ms: int = 0
    last_success_ms: int = 0
    last_job: str = ""


class Ticking(msgspec.Struct, frozen=True, kw_only=True):
    """One tick that is done, and the one that comes after it.

    Attributes:
        verdict: ``run``, ``pass`` or ``trigger``.
        overlap: what a run before that goes on means: ``allow``, ``skip`` or ``queue``.
        tick_ms: the tick.
        due_ms: before this it must not fire.
        since_ms: the first tick that is passed over with it; 0 = none is.
        next_ms: the tick after it; 0 = there is none.
        next_due_ms: when that one fires.
    """

    verdict: str
    overlap: str = "allow"
    tick_ms: int = 0
    due_ms: int = 0
    since_ms: int = 0
    next_ms: int = 0
    next_due_ms: int = 0


class Fired(msgspec.Struct, frozen=True):
    """What became of a tick: the word of the script, and when by Redis' clock, or ms to wait."""

    said: str
    ms: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the tick is over; else nothing was written."""
        return self.said in ("ran", "passed", "overlapped", "taken", "locked")


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a schedule's history.

    Attributes:
        tick_ms: the tick; of a run beside all ticks, when it was.
        at_ms: when it was done, by Redis' clock.
        said: ``ran``, ``passed``, ``overlapped``, ``taken`` or ``locked``.
        since_ms: the first tick that was passed over with it; 0 = none was.
        job_id: short id of its job, or "".
    """

    tick_ms: int
    at_ms: int
    said: str
    since_ms: int = 0
    job_id: str = ""


def due(keys: QueueKeys, now: str = "", *, skip: int = 0) -> Call[Due]:
    """Which schedules have a tick that is due, behind the first so many."""

    def parse(reply: Any) -> Due:
        wait, *names = texts(reply)
        return Due(names, None if int(wait) < 0 else int(wait))

    return Call(DUE, (keys.cron,), (now, BATCH, skip), parse)


def time_ms() -> Call[int]:
    """Redis' clock, ms since the epoch; the time that a test has set, if one has."""

    def parse(reply: Any) -> int:
        return int(reply[0]) * 1000 + int(reply[1]) // 1000 if held.ms is None else held.ms

    return Call(("TIME",), (), (), parse)


def read(keys: QueueKeys, name: str) -> Call[Plan | None]:
    """A schedule, or None."""

    def parse(reply: Any) -> Plan | None:
        fields = mapping(reply or [])
        return _plan(name, fields) if PlanField.DEFINITION in fields else None

    return Call(("HGETALL",), (keys.plan(name),), (), parse).or_absent([])


def _plan(name: str, fields: dict[str, bytes]) -> Plan:
    def ms(field: str) -> int:
        text = fields.get(field, b"")
        return int(text) if text.isdigit() and len(text) <= _COUNT_DIGITS else 0

    def text(field: str) -> str:
        return fields.get(field, b"").decode("utf-8", "replace")

    return Plan(
        name=name,
        definition=fields[PlanField.DEFINITION],
        revision=text(PlanField.REVISION),
        origin=text(PlanField.ORIGIN),
        is_paused=fields.get(PlanField.PAUSED) == b"1",
        mark_ms=ms(PlanField.MARK),
        next_ms=ms(PlanField.NEXT),
        due_ms=ms(PlanField.NEXT_DUE),
        created_ms=ms(PlanField.CREATED),
        last_run_ms=ms(PlanField.LAST_RUN),
        last_success_ms=ms(PlanField.LAST_SUCCESS),
        last_job=text(PlanField.LAST_JOB),
    )


def history(keys: QueueKeys, name: str, limit: int = HISTORY) -> Call[list[Ran]]:
    """What became of the latest ticks, the latest first."""

    def parse(reply: Any) -> list[Ran]:
        return [_ran(*line.split(" ")) for line in texts(reply) if line.count(" ") == _RAN_SPACES]

    return Call(("LRANGE",), (keys.ran(name),), (0, limit - 1), parse).or_absent([])


_RAN_SPACES = 4


def _ran(tick: str, at: str, said: str, since: str, job_id: str) -> Ran:
    return Ran(tick_ms=int(tick), at_ms=int(at), said=said, since_ms=int(since), job_id=job_id)


def plan(
    keys: QueueKeys,
    plan: Plan,
    *,
    seen: str | None,
    is_timed: bool,
    is_turned: bool = False,
    now: str = "",
) -> Call[str]:
    """Put a schedule, change, pause or resume it.

    Args:
        keys: of its queue.
        plan: as it shall be.
        seen: the revision that was read, "" = there was none; None = whatever is there.
        is_timed: whether its mark and next tick are set as well; else they stay.
        is_turned: whether it is paused or resumed; else it stays as it is.
        now: ms, or "" for Redis' clock.

    Returns "planned", "unchanged" or "changed" (another revision is there than was seen).
    """
    timing: tuple[Arg, ...] = ("", "", "")
    if is_timed:
        timing = (plan.mark_ms, *_next(plan.next_ms, plan.due_ms))
    args = (
        now, plan.name, _ANYTHING if seen is None else seen, plan.definition, plan.revision,
        plan.origin, str(int(plan.is_paused)) if is_turned else "", *timing, keys.wake,
    )  # fmt: skip
    asked = Call(PLAN, (keys.cron, keys.plan(plan.name)), args, word)
    return asked.on_repeat(lambda reply: _again(reply, "unchanged", "planned"))


def _again(reply: Any, idle: str, done: str) -> str:
    """After a lost answer: what is as it should be, our own first try has made so."""
    said = word(reply)
    return done if said == idle else said


def _next(next_ms: int, due_ms: int) -> tuple[Arg, Arg]:
    return (next_ms, due_ms) if next_ms else ("", "")


def fire(
    keys: QueueKeys, plan: Plan, ticking: Ticking, job: NewJob | None, now: str = ""
) -> Call[Fired]:
    """Do one tick, with its job or without; once, whichever scheduler comes first.

    After a lost answer it is ``beaten``, by our own first try.
    """
    record = keys.job(job.id) if job else keys.meta
    names = (
        keys.cron,
        keys.plan(plan.name),
        keys.ran(plan.name),
        keys.meta,
        keys.stream(job.priority if job else "normal"),
        record,
        keys.unique_or(job.unique if job else "", record),
        keys.job(plan.last_job) if plan.last_job else record,
    )
    args: list[Arg] = [
        now, plan.name, plan.revision, plan.mark_ms, plan.last_job, ticking.verdict,
        ticking.overlap, ticking.tick_ms, ticking.since_ms, ticking.due_ms,
        *_next(ticking.next_ms, ticking.next_due_ms), HISTORY,
    ]  # fmt: skip
    if job is not None:
        args += (job.id, job.envelope, job.digest, job.priority, job.unique, job.max_crashes or "")
    return Call(FIRE, names, args, _fired)


def _fired(reply: Any) -> Fired:
    said, *ms = texts(reply)
    return Fired(said, int(ms[0]) if ms else 0)


def forget(keys: QueueKeys, name: str, *, seen: str | None = None) -> Call[str]:
    """Delete a schedule; "forgotten", "missing" or "changed" (another revision than was seen)."""
    names = (keys.cron, keys.plan(name), keys.ran(name))
    asked = Call(FORGET, names, (name, _ANYTHING if seen is None else seen), word)
    return asked.on_repeat(lambda reply: _again(reply, "missing", "forgotten"))


def enlist(namespace: str, name: str, queue: str) -> Call[int]:
    """Note in which queue a schedule is."""
    return Call(("HSET",), (schedules_registry(namespace),), (name, queue), number)


def strike(namespace: str, name: str) -> Call[int]:
    """A schedule is nowhere any more."""
    return Call(("HDEL",), (schedules_registry(namespace),), (name,), number)


def listed(namespace: str) -> Call[dict[str, str]]:
    """Every schedule, and its queue."""

    def parse(reply: Any) -> dict[str, str]:
        return {name: value.decode("utf-8", "replace") for name, value in mapping(reply).items()}

    return Call(("HGETALL",), (schedules_registry(namespace),), (), parse)


def queue_of(namespace: str, name: str) -> Call[str]:
    """The queue of a schedule, or ""."""
    return Call(
        ("HGET",), (schedules_registry(namespace),), (name,), lambda reply: texts([reply or b""])[0]
    )


def planned(keys: QueueKeys, names: Sequence[str]) -> list[Call[Plan | None]]:
    """These schedules, in one trip."""
    return [read(keys, name) for name in names]
