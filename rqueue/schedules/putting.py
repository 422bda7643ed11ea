"""Schedules are put, changed and moved; the same for async and blocking code."""

from __future__ import annotations

import msgspec

from rqueue.config import StoreConfig
from rqueue.errors import CodecError, ConfigError
from rqueue.schedule import Schedule
from rqueue.schedules.making import plan_of, schedule_of, timed
from rqueue.store.call import Flow
from rqueue.store.calls import cron
from rqueue.store.calls.cron import Plan
from rqueue.store.calls.queues import announce
from rqueue.store.keys import QueueKeys, queue_keys

_MOVING = "moving"
"""Instead of its origin, while it is paused for a move and not by anybody's wish."""


def upsert(config: StoreConfig, schedule: Schedule, origin: str) -> Flow[str]:
    """Put a schedule or change it: ``created``, ``updated`` or ``unchanged``.

    One that ticks as before goes on where it was; one that ticks anew begins now.

    Raises:
        ConfigError: by the API a schedule cannot be changed that is declared in code.
    """
    namespace, name = config.namespace, schedule.name
    before: str = yield cron.queue_of(namespace, name)
    if before and before != schedule.queue:
        return (yield from _moved(config, schedule, origin, before))
    yield [cron.enlist(namespace, name, schedule.queue), announce(namespace, schedule.queue)]
    return (yield from _put(config, schedule, origin))


def _moved(config: StoreConfig, schedule: Schedule, origin: str, before: str) -> Flow[str]:
    """Put it into another queue: it goes on where it was, and one that is paused stays so.

    It is stopped there first, or a tick could fire here and there. Who dies between the steps is
    repaired by doing it again. Its history stays behind.
    """
    namespace, name = config.namespace, schedule.name
    left = queue_keys(namespace, before)
    old = yield from _stopped(left, name, origin)
    yield announce(namespace, schedule.queue)
    said = yield from _put(config, schedule, origin, old and (before, old))
    yield cron.forget(left, name)
    yield cron.enlist(namespace, name, schedule.queue)
    return "updated" if old else said


def _stopped(keys: QueueKeys, name: str, origin: str) -> Flow[Plan | None]:
    """A schedule as it is when it fires no more, but for that; None = it is not there."""
    while True:
        there: Plan | None = yield cron.read(keys, name)
        if there is None:
            return None
        _check_origin(there, origin)
        if there.origin == _MOVING:
            return msgspec.structs.replace(there, is_paused=False, origin=origin)
        if there.is_paused:
            return there
        stopped = msgspec.structs.replace(there, is_paused=True, origin=_MOVING)
        yield cron.plan(keys, stopped, seen=there.revision, is_timed=False, is_turned=True)


def _check_origin(there: Plan, origin: str) -> None:
    if there.origin == "code" and origin != "code":
        raise ConfigError(
            f"schedule {there.name!r} is declared in code with @app.cron or @app.every: change it "
            "there, or give this one another name"
        )


def _put(
    config: StoreConfig, schedule: Schedule, origin: str, old: tuple[str, Plan] | None = None
) -> Flow[str]:
    """Put it into its queue, if need be instead of what stands there; ``old``: where it was."""
    keys, name = queue_keys(config.namespace, schedule.queue), schedule.name
    while True:
        there, now_ms = yield [cron.read(keys, name), cron.time_ms()]
        known: tuple[str, Plan] | None = (schedule.queue, there) if there else old
        if known:
            _check_origin(known[1], origin)
        plan, is_timed = _changed(config, schedule, origin, known, now_ms)
        is_new = there is None
        seen = there.revision if there else ""
        said: str = yield cron.plan(
            keys, plan, seen=seen, is_timed=is_timed or is_new, is_turned=is_new
        )
        if said == "planned":
            return "updated" if there else "created"
        if said == "unchanged":
            return said


def _changed(
    config: StoreConfig,
    schedule: Schedule,
    origin: str,
    known: tuple[str, Plan] | None,
    now_ms: int,
) -> tuple[Plan, bool]:
    """The plan to put, and whether its mark is put as well; ``known``: in which queue, and what."""
    plan = plan_of(schedule, origin, config.protection)
    if known is None:
        return timed(plan, schedule, now_ms), True
    queue, there = known
    plan = msgspec.structs.replace(plan, is_paused=there.is_paused)
    if there.revision == plan.revision:
        return plan, False
    try:
        old = schedule_of(there, queue, config.protection)
    except CodecError:
        return timed(plan, schedule, now_ms), True
    if old.timing != schedule.timing:
        return timed(plan, schedule, now_ms), True
    return timed(plan, schedule, there.mark_ms), old.jitter_s != schedule.jitter_s
