"""What is done with schedules, trip by trip; the same for async and blocking code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from rqueue.clock import from_ms
from rqueue.config import StoreConfig
from rqueue.envelope import open_envelope
from rqueue.errors import (
    ConfigError,
    CorruptKey,
    PayloadTooLarge,
    QueueFull,
    RqueueError,
    ScheduleNotFound,
    StoreFull,
)
from rqueue.ids import lengthen, new_id, shorten
from rqueue.schedule import Schedule, check_name, first_tick, ticks_within
from rqueue.schedules.info import Coming, ScheduleInfo, Tick, coming_of, tick_of, times_of
from rqueue.schedules.making import job_of, schedule_of, timed
from rqueue.schedules.traced import ended, traced_job
from rqueue.sensitive import covered
from rqueue.store.call import Flow
from rqueue.store.calls import cron, jobs
from rqueue.store.calls.cron import Fired, Plan, Ticking
from rqueue.store.calls.jobs import Enqueued, NewJob
from rqueue.store.keys import QueueKeys, queue_keys
from rqueue.tracing import Outgoing, Sending, Tracing

_BATCH = 500
_MOST_BACKFILLED = 10_000


def find(config: StoreConfig, name: str) -> Flow[tuple[QueueKeys, Plan]]:
    """Where a schedule is, and as it stands there.

    Raises:
        ScheduleNotFound: there is none of that name.
    """
    queue: str = yield cron.queue_of(config.namespace, check_name(name))
    if queue:
        keys = queue_keys(config.namespace, queue)
        plan: Plan | None = yield cron.read(keys, name)
        if plan is not None:
            return keys, plan
    raise ScheduleNotFound(name, config.namespace)


def get(config: StoreConfig, name: str) -> Flow[ScheduleInfo]:
    """A schedule and how it fares."""
    keys, plan = yield from find(config, name)
    return (yield from _told(config, keys, plan))


def listed(config: StoreConfig) -> Flow[list[ScheduleInfo]]:
    """Every schedule, by name."""
    known: dict[str, str] = yield cron.listed(config.namespace)
    places = [(queue_keys(config.namespace, queue), name) for name, queue in sorted(known.items())]
    plans: list[Plan | None] = yield [cron.read(keys, name) for keys, name in places]
    told: list[ScheduleInfo] = []
    for (keys, _), plan in zip(places, plans, strict=True):
        if plan is not None:
            told.append((yield from _told(config, keys, plan)))
    return told


def _told(config: StoreConfig, keys: QueueKeys, plan: Plan) -> Flow[ScheduleInfo]:
    times = times_of(plan)
    if plan.last_job:
        ended, finished = yield [
            jobs.awaiting(keys, plan.last_job),
            jobs.finished_ms(keys, plan.last_job),
        ]
        if ended.state == "succeeded" and finished > plan.last_success_ms:
            times["last_success"] = from_ms(finished)
    try:
        schedule = schedule_of(plan, keys.queue, config.protection)
        ticks = schedule.ticks()
        envelope = open_envelope(schedule.envelope).envelope
    except RqueueError as error:
        return ScheduleInfo(queue=keys.queue, problem=str(error), **times)
    args: Any = msgspec.msgpack.decode(envelope.args)
    kwargs: Any = msgspec.msgpack.decode(envelope.kwargs)
    args, kwargs = covered(envelope.hidden, tuple(args), kwargs)
    return ScheduleInfo(
        queue=keys.queue,
        task=schedule.task,
        args=tuple(args),
        kwargs=kwargs,
        cron=schedule.cron,
        every_s=schedule.every_s,
        tz=schedule.tz if schedule.cron else "",
        dst=getattr(ticks, "dst", ""),
        missed=schedule.missed,
        overlap=schedule.overlap,
        jitter_s=schedule.jitter_s,
        start=from_ms(schedule.start_ms) if schedule.start_ms else None,
        end=from_ms(schedule.end_ms) if schedule.end_ms else None,
        **times,
    )


def turn(config: StoreConfig, name: str, *, is_paused: bool) -> Flow[str]:
    """Pause or resume: ``paused``, ``resumed`` or ``already``.

    Raises:
        ScheduleNotFound: there is none of that name.
        CodecError: it cannot be read, so nobody knows when it would go on.
    """
    while True:
        keys, plan = yield from find(config, name)
        if plan.is_paused == is_paused:
            return "already"
        seen, plan = plan.revision, msgspec.structs.replace(plan, is_paused=is_paused)
        if not is_paused:  # what it would have done meanwhile is not made up for
            now_ms: int = yield cron.time_ms()
            plan = timed(plan, schedule_of(plan, keys.queue, config.protection), now_ms)
        said: str = yield cron.plan(keys, plan, seen=seen, is_timed=not is_paused, is_turned=True)
        if said != "changed":
            return "paused" if is_paused else "resumed"


def delete(config: StoreConfig, name: str, *, force: bool) -> Flow[None]:
    """Forget a schedule and its history; its jobs stay.

    Raises:
        ScheduleNotFound: there is none of that name.
        ConfigError: it is declared in code, and would come back.
    """
    keys, plan = yield from find(config, name)
    if plan.origin == "code" and not force:
        raise ConfigError(
            f"schedule {name!r} is declared in code, and the next deploy would bring it back: "
            f"take it out there, or pause it: rqueue schedules pause {name}"
        )
    yield cron.forget(keys, name)
    yield cron.strike(config.namespace, name)


def trigger(
    config: StoreConfig, name: str, tracing: Tracing | None = None
) -> Flow[tuple[str, str]]:
    """One run now, beside all ticks, paused or not: (queue, id of its job).

    Raises:
        ScheduleNotFound: there is none of that name.
        StoreFull: Redis is out of memory.
        CorruptKey: a key of its queue is of a wrong type.
    """
    job_id = new_id()
    while True:
        keys, plan = yield from find(config, name)
        now_ms: int = yield cron.time_ms()
        schedule = schedule_of(plan, keys.queue, config.protection)
        begin = None if tracing is None else _begin(tracing)
        job, sending = traced_job(begin, schedule, now_ms, config, job_id)
        try:
            said: str = yield from _triggered(keys, plan, now_ms, job)
        except BaseException as error:
            ended(sending, "", error)
            raise
        if said != "changed":
            ended(sending, said)
            return keys.queue, lengthen(shorten(job_id))


def _begin(tracing: Tracing) -> Callable[[Outgoing], Sending]:
    return lambda job: tracing.send([job], is_batch=False)


def _triggered(keys: QueueKeys, plan: Plan, now_ms: int, job: NewJob) -> Flow[str]:
    ticking = Ticking(verdict="trigger", tick_ms=now_ms)
    fired: Fired = yield cron.fire(keys, plan, ticking, job)
    _check_written(plan.name, fired.said)
    if fired.said == "locked":
        raise ConfigError(f"schedule {plan.name!r}: another job holds the unique key of its call")
    return fired.said


def history(config: StoreConfig, name: str, limit: int) -> Flow[list[Tick]]:
    """What became of the latest ticks, the latest first."""
    keys, _ = yield from find(config, name)
    ran: list[cron.Ran] = yield cron.history(keys, name, limit)
    return [tick_of(one) for one in ran]


def upcoming(config: StoreConfig, name: str, count: int) -> Flow[list[Coming]]:
    """The next ticks, whether it is paused or not."""
    keys, plan = yield from find(config, name)
    now_ms: int = yield cron.time_ms()
    schedule = schedule_of(plan, keys.queue, config.protection)
    ticks = schedule.ticks()
    return [coming_of(ticks, one) for one in islice(_ticks_after(schedule, now_ms), count)]


def _ticks_after(schedule: Schedule, after_ms: int) -> Iterator[int]:
    ticks = schedule.ticks()
    while after_ms := first_tick(schedule, ticks, after_ms):
        yield after_ms


def past(config: StoreConfig, name: str, first_ms: int, last_ms: int) -> Flow[list[datetime]]:
    """The ticks of a range; raises as ``backfill``."""
    _, _, found, _ = yield from _past(config, name, first_ms, last_ms)
    return [from_ms(one) for one in found]


def _past(
    config: StoreConfig, name: str, first_ms: int, last_ms: int
) -> Flow[tuple[QueueKeys, Schedule, list[int], int]]:
    """Where a schedule is, the schedule, its ticks of a range, and Redis' time."""
    keys, plan = yield from find(config, name)
    schedule = schedule_of(plan, keys.queue, config.protection)
    now_ms: int = yield cron.time_ms()
    if last_ms > now_ms:
        raise ConfigError(
            f"schedule {name!r}: {from_ms(last_ms).isoformat()} is still to come: a back-fill is "
            "of the past, later ticks fire by themselves"
        )
    found = list(islice(ticks_within(schedule, first_ms, last_ms), _MOST_BACKFILLED + 1))
    if len(found) > _MOST_BACKFILLED:
        raise ConfigError(
            f"schedule {name!r} has more than {_MOST_BACKFILLED:,} ticks in this range: "
            "fill it in parts"
        )
    return keys, schedule, found, now_ms


def backfill(
    config: StoreConfig, name: str, first_ms: int, last_ms: int
) -> Flow[tuple[str, list[str]]]:
    """The jobs of all ticks of a range, run now: (queue, ids), those that are there already too.

    Their limits count from now. Ticks before its start and after its end are none.

    Raises:
        ScheduleNotFound: there is none of that name.
        ConfigError: there are more than 10,000 ticks, or the range does not lie in the past.
        QueueFull: the queue has a cap; ask again once there is room.
        StoreFull: Redis is out of memory; ask again: what is there already makes no second job.
    """
    keys, schedule, found, now_ms = yield from _past(config, name, first_ms, last_ms)
    made = [
        job_of(schedule, one, config.protection, config.max_payload, late_ms=now_ms - one)
        for one in found
    ]
    for start in range(0, len(made), _BATCH):
        batch = made[start : start + _BATCH]
        said: Sequence[Enqueued] = yield jobs.enqueue(keys, batch)
        for job, one in zip(batch, said, strict=True):
            if one.place == "payload":
                size = len(job.envelope)
                raise PayloadTooLarge(schedule.task, size, one.cap, keys.queue)
            if one.status == "capped":
                raise QueueFull(keys.queue, one.place, one.cap)
            _check_written(name, one.status)
    return keys.queue, [lengthen(one.id) for one in made]


def _check_written(name: str, said: str) -> None:
    if said == "full":
        raise StoreFull
    if said in ("corrupt", "exhausted"):
        raise CorruptKey(f"a key that schedule {name!r} needs")
