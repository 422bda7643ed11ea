"""The ticker: what a schedule calls is enqueued when its time has come."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from rqueue.config import StoreConfig
from rqueue.cron import Ticks
from rqueue.errors import RqueueError, StoreError
from rqueue.events import Observers, ScheduleTicked
from rqueue.schedule import Schedule, next_step
from rqueue.schedules.making import schedule_of
from rqueue.schedules.traced import ended, traced_job
from rqueue.store.call import Call
from rqueue.store.calls import cron
from rqueue.store.calls.cron import Fired, Plan, Ticking
from rqueue.store.calls.jobs import awaiting, cancel
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport
from rqueue.tracing import Sending

logger = logging.getLogger("rqueue")

LONGEST_SLEEP_S = 30.0
"""Even with nothing due: a new schedule whose wake-up was lost is late by this much at the most."""
_PAUSE_S = 1.0
_CHECKED = 4096
"""Definitions that are remembered opened."""
_OVERLAP = {"skip": "skip", "queue": "queue", "cancel_running": "allow", "allow": "allow"}


class Opened(msgspec.Struct, frozen=True):
    """A schedule as a scheduler uses it; None where it cannot be read, which was logged."""

    schedule: Schedule
    ticks: Ticks


class Firing(msgspec.Struct, frozen=True):
    """A tick on its way to Redis, and what traces its job, if anything does."""

    plan: Plan
    ticking: Ticking
    call: Call[Fired]
    sending: Sending | None = None


class Ticker:
    """Sleeps until the next tick of any schedule of a queue; woken when an earlier one is put."""

    def __init__(
        self, transport: AsyncTransport, keys: QueueKeys, store: StoreConfig, observers: Observers
    ) -> None:
        self.name = f"ticker of queue {keys.queue}"
        self._transport = transport
        self._keys = keys
        self._store = store
        self._observers = observers
        self._opened: dict[tuple[str, str], Opened | None] = {}
        self._stuck = 0

    async def run_once(self) -> float:
        """Do one tick of each schedule that is due; seconds until the next look, 0 for more.

        Schedules that cannot go on stay at the head of the list: they are skipped until those
        behind them have gone, and tried again after a pause.
        """
        steps: list[Call[Any]] = [cron.due(self._keys, skip=self._stuck), cron.time_ms()]
        due, now_ms = await self._transport.send_many(steps)
        if due.ids:
            self._stuck += await self._tick(due.ids, now_ms)
            return 0.0
        longest = _PAUSE_S if self._stuck else LONGEST_SLEEP_S
        self._stuck = 0
        return longest if due.wait_ms is None else min(longest, due.wait_ms / 1000)

    async def _tick(self, names: Sequence[str], now_ms: int) -> int:
        """One tick of each; how many cannot go on."""
        plans = await self._transport.send_many(cron.planned(self._keys, names))
        stuck = 0
        firing: list[Firing] = []
        for plan in plans:
            fired = await self._prepare(plan, now_ms) if plan else None
            if fired is None:
                stuck += 1
            else:
                firing.append(fired)
        try:
            said = await self._transport.send_many([one.call for one in firing])
        except BaseException as error:  # fired or not: nobody here will know
            for one in firing:
                ended(one.sending, "", error)
            raise
        for one, answer in zip(firing, said, strict=True):
            stuck += await self._settle(one, answer)
        return stuck

    async def _prepare(self, plan: Plan, now_ms: int) -> Firing | None:
        """What to send for a schedule that is due."""
        opened = self._open(plan)
        if opened is None:
            return None
        schedule, ticks = opened.schedule, opened.ticks
        ticking = _ticking(schedule, ticks, plan, now_ms)
        if ticking is None:  # the clock was set back meanwhile
            return None
        if ticking.verdict == "pass":
            return Firing(plan, ticking, cron.fire(self._keys, plan, ticking, None))
        try:
            tracing = self._observers.tracing
            begin = None if tracing is None else tracing.tick
            job, sending = traced_job(begin, schedule, ticking.tick_ms, self._store)
        except RqueueError:
            logger.exception("schedule %s of queue %s cannot fire", plan.name, self._keys.queue)
            return None
        if schedule.overlap == "cancel_running" and plan.last_job:
            await self._cancel(plan)
            if job.unique:  # the handler holds it until it has stopped
                ticking = msgspec.structs.replace(ticking, overlap="queue")
        return Firing(plan, ticking, cron.fire(self._keys, plan, ticking, job), sending)

    async def _cancel(self, plan: Plan) -> None:
        reason = f"the next run of schedule {plan.name} is due"
        try:
            await self._transport.run(cancel(self._keys, plan.last_job, reason))
        except StoreError as error:
            logger.warning("schedule %s: its run before is not cancelled: %s", plan.name, error)

    def _open(self, plan: Plan) -> Opened | None:
        known = plan.name, plan.revision
        if known not in self._opened:
            if len(self._opened) >= _CHECKED:
                self._opened.clear()
            self._opened[known] = self._read(plan)
        return self._opened[known]

    def _read(self, plan: Plan) -> Opened | None:
        try:
            schedule = schedule_of(plan, self._keys.queue, self._store.protection)
            return Opened(schedule, schedule.ticks())
        except RqueueError as error:
            logger.warning(
                "schedule %s of queue %s cannot be read and does not fire: %s",
                plan.name, self._keys.queue, error,
            )  # fmt: skip
            return None

    async def _settle(self, firing: Firing, fired: Fired) -> bool:
        """Whether the schedule is stuck; another scheduler may have been first, and all is well."""
        plan, ticking = firing.plan, firing.ticking
        if fired.is_done:  # else nothing was sent from here, and nothing is told of it
            ended(firing.sending, fired.said)
            self._observers.emit(
                ScheduleTicked(
                    queue=self._keys.queue,
                    schedule=plan.name,
                    tick_ms=ticking.tick_ms,
                    at_ms=fired.ms,
                    said=fired.said,
                )
            )
        elif fired.said == "held":
            await self._transport.send(awaiting(self._keys, plan.last_job, self._keys.wake))
        elif fired.said == "full":
            logger.warning("schedule %s: Redis is out of memory", plan.name)
        elif fired.said == "corrupt":
            logger.error("schedule %s: a key that it needs is of a wrong type", plan.name)
        return fired.said in ("held", "full", "corrupt")


def _ticking(schedule: Schedule, ticks: Ticks, plan: Plan, now_ms: int) -> Ticking | None:
    step = next_step(schedule, ticks, plan.mark_ms, now_ms)
    if step is None:
        return None
    return Ticking(
        verdict=step.verdict,
        overlap=_OVERLAP[schedule.overlap],
        tick_ms=step.tick_ms,
        due_ms=step.tick_ms + schedule.jitter_ms,
        since_ms=step.since_ms,
        next_ms=step.next_ms,
        next_due_ms=step.next_ms and step.next_ms + schedule.jitter_ms,
    )
