"""Schedules and calls: a call becomes a schedule, a tick becomes a call."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from rqueue.client.building import envelope_of
from rqueue.clock import now_ms
from rqueue.config import MAX_CRASHES
from rqueue.envelope import digest, open_envelope, seal
from rqueue.errors import ConfigError, PayloadTooLarge
from rqueue.ids import shorten
from rqueue.options import Seconds, seconds
from rqueue.protection import Protection
from rqueue.schedule import (
    Schedule,
    check,
    decode,
    encode,
    first_tick,
    headers_of,
    tick_name,
)
from rqueue.store.calls.cron import Plan
from rqueue.store.calls.jobs import NewJob
from rqueue.task import TaskCall

_OF_ONE_RUN = ("delay", "run_at", "job_id", "record", "durability")


def scheduled(name: str, call: TaskCall[Any], settings: dict[str, Any]) -> Schedule:
    """The schedule that makes a call again and again.

    Raises:
        ConfigError: a setting is not allowed, or the call has options that make sense once only.
        InvalidArguments: the arguments cannot be encoded.
    """
    options, declared = call.options, call.defaults
    wrong = [one for one in _OF_ONE_RUN if one in options]
    if wrong:
        raise ConfigError(
            f"schedule {name!r}: its call has {wrong[0]}, which is of a single job. "
            "Leave it out: the schedule says when, and names its jobs"
        )
    crashes = declared.max_crashes
    return check(
        Schedule(
            name=name,
            queue=options.get("queue", declared.queue),
            task=call.task,
            envelope=seal(_timeless(call)),
            priority=options.get("priority", declared.priority),
            max_crashes=0 if crashes == MAX_CRASHES else crashes,
            expires_s=_limit_s(name, "expires", options.get("expires", declared.expires)),
            deadline_s=_limit_s(
                name, "has its deadline", options.get("deadline", declared.deadline)
            ),
            **settings,
        )
    )


def _timeless(call: TaskCall[Any]) -> Any:
    envelope = envelope_of(call)
    envelope.created = envelope.expires = envelope.deadline = 0
    return envelope


def _limit_s(name: str, does: str, limit: Seconds | datetime | None) -> float:
    if limit is None:
        return 0
    if isinstance(limit, datetime):
        raise ConfigError(
            f"schedule {name!r}: its call {does} at one moment for all runs; give seconds"
        )
    return seconds(limit)


def plan_of(schedule: Schedule, origin: str, protection: Protection) -> Plan:
    """A schedule as it is put into Redis; its mark and next tick are still to be said."""
    return Plan(
        name=schedule.name,
        definition=protection.protect(encode(schedule), "schedule", schedule.queue, schedule.name),
        revision=schedule.revision(protection.content_key(schedule.queue, schedule.name)),
        origin=origin,
    )


def timed(plan: Plan, schedule: Schedule, mark_ms: int) -> Plan:
    """A plan whose ticks are those after a moment."""
    after = first_tick(schedule, schedule.ticks(), mark_ms)
    due_ms = after + schedule.jitter_ms if after else 0
    return msgspec.structs.replace(plan, mark_ms=mark_ms, next_ms=after, due_ms=due_ms)


def schedule_of(plan: Plan, queue: str, protection: Protection) -> Schedule:
    """The schedule that stands in Redis.

    Raises:
        ProtectionError: it is not what was protected for this very place.
        CodecError: it is no schedule.
    """
    return decode(protection.open(plan.definition, "schedule", queue, plan.name))


def job_of(
    schedule: Schedule,
    tick_ms: int,
    protection: Protection,
    max_payload: int,
    *,
    job_id: str = "",
    late_ms: int = 0,
) -> NewJob:
    """The job of a tick, named by it; or of a run beside all ticks, with an id of its own.

    Its ``expires`` and ``deadline`` count from the tick, or from ``late_ms`` later.

    Raises:
        CodecError: the call in the schedule cannot be read.
        PayloadTooLarge: protected, it is above the limit.
    """
    envelope = open_envelope(schedule.envelope).envelope
    short = shorten(job_id or tick_name(schedule.name, tick_ms))
    envelope.headers = {**envelope.headers, **headers_of(schedule.name, tick_ms)}
    envelope.created = 0 if job_id else now_ms()
    due_ms = tick_ms + schedule.jitter_ms + late_ms
    if schedule.expires_s:
        envelope.expires = due_ms + round(schedule.expires_s * 1000)
    if schedule.deadline_s:
        envelope.deadline = due_ms + round(schedule.deadline_s * 1000)
    args, kwargs = (msgspec.msgpack.decode(one) for one in (envelope.args, envelope.kwargs))
    key = protection.content_key(schedule.queue, short)
    sealed = protection.protect(seal(envelope), "call", schedule.queue, short)
    if len(sealed) > max_payload:
        raise PayloadTooLarge(schedule.task, len(sealed), max_payload)
    return NewJob(
        id=short,
        envelope=sealed,
        digest=digest(schedule.queue, schedule.priority, envelope, tuple(args), kwargs, key),
        priority=schedule.priority,
        unique=envelope.unique,
        max_crashes=schedule.max_crashes,
    )
