"""Schedules at run time, for async and for blocking code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from rqueue.client.connections import Connections
from rqueue.config import StoreConfig
from rqueue.errors import ConfigError
from rqueue.handle import Job
from rqueue.options import Seconds, period
from rqueue.schedule import DST, Missed, Overlap
from rqueue.schedules import flows
from rqueue.schedules.info import ScheduleInfo, Tick
from rqueue.schedules.making import scheduled
from rqueue.task import TaskCall

Handle = Callable[[str, str], Job[Any]]


class Timing(TypedDict, total=False):
    """What a schedule takes beside its name, its call and when it ticks.

    Keys:
        tz: the zone in which the expression is read; ``UTC``.
        dst: a local time that comes twice or not at all: ``once`` (exactly one tick), ``skip``
            (none where it does not exist, one where it comes twice) or ``both`` (whenever the clock
            shows it). Left out: ``both`` where the hour is ``*``, else ``once``.
        missed: ticks that nobody could fire: ``latest`` (the last one fires), ``skip`` (none) or
            ``all``.
        missed_cap: how many ``all`` makes up for; 100.
        catch_up: seconds, or a text such as ``6h``; what is older is not made up for. Any age by default.
        overlap: a tick while the run before goes on: ``skip``, ``queue``, ``cancel_running`` or
            ``allow``.
        jitter: seconds, or a text such as ``5m``; every tick is late by a part of it, always the same for one schedule.
        start: an aware time before which it does not tick.
        end: an aware time after which it does not.
    """

    tz: str
    dst: DST
    missed: Missed
    missed_cap: int
    catch_up: Seconds | str
    overlap: Overlap
    jitter: Seconds | str
    start: datetime
    end: datetime


def settings_of(
    cron: str | None, every: str | float | timedelta | None, timing: Timing
) -> dict[str, Any]:
    """The fields of a ``Schedule`` from what its user says.

    Raises:
        ConfigError: something is not allowed.
    """
    told: dict[str, Any] = dict(timing)
    unknown = set(told) - set(Timing.__annotations__)
    if unknown:
        raise ConfigError(
            f"a schedule has no option {min(unknown)!r}; "
            f"there are {', '.join(Timing.__annotations__)}"
        )
    for name, field in (("catch_up", "catch_up_s"), ("jitter", "jitter_s")):
        if name in told:
            told[field] = period(told.pop(name))
    for name in ("start", "end"):
        if name in told:
            told[f"{name}_ms"] = _ms(told.pop(name), name)
    if cron is not None:
        told["cron"] = cron
    if every is not None:
        told["every_s"] = period(every)
    return told


def _ms(value: datetime, name: str) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:  # pyright: ignore[reportUnnecessaryIsInstance] - a user's
        raise ConfigError(f"{name} {value!r:.80} must be a datetime with a time zone")
    return round(value.timestamp() * 1000)


class Schedules:
    """Schedules at run time: ``app.schedules``.

    Each of its methods raises ``StoreError`` when Redis cannot be asked, and those that take the
    name of a schedule raise ``ScheduleNotFound``.
    """

    def __init__(self, config: StoreConfig, connections: Connections, handle: Handle) -> None:
        self._config = config
        self._connections = connections
        self._handle = handle

    async def upsert(
        self,
        name: str,
        call: TaskCall[Any],
        *,
        cron: str | None = None,
        every: str | float | timedelta | None = None,
        **timing: Unpack[Timing],
    ) -> str:
        """Put a schedule, or change the one of that name: ``created``, ``updated``, ``unchanged``.

        Raises:
            ConfigError: something is not allowed, or that schedule is declared in code.
        """
        schedule = scheduled(name, call, settings_of(cron, every, timing))
        return await self._run(flows.upsert(self._config, schedule, "api"))

    async def get(self, name: str) -> ScheduleInfo:
        """A schedule, and how it fares."""
        return await self._run(flows.get(self._config, name))

    async def list(self) -> list[ScheduleInfo]:
        """Every schedule, by name."""
        return await self._run(flows.listed(self._config))

    async def pause(self, name: str) -> str:
        """It fires only when it is told to: ``paused`` or ``already``."""
        return await self._run(flows.turn(self._config, name, is_paused=True))

    async def resume(self, name: str) -> str:
        """It fires again, from now on: ``resumed`` or ``already``."""
        return await self._run(flows.turn(self._config, name, is_paused=False))

    async def trigger(self, name: str) -> Job[Any]:
        """Run it now, beside all ticks."""
        return self._job(await self._run(flows.trigger(self._config, name)))

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Forget it; one that is declared in code only with ``force``. Its jobs stay."""
        await self._run(flows.delete(self._config, name, force=force))

    async def history(self, name: str, limit: int = 100) -> list[Tick]:
        """What became of its latest ticks, the latest first; a hundred are remembered."""
        return await self._run(flows.history(self._config, name, limit))

    async def next(self, name: str, count: int = 5) -> list[datetime]:
        """Its next ticks, without jitter."""
        return await self._run(flows.upcoming(self._config, name, count))

    async def backfill(self, name: str, first: datetime, last: datetime) -> list[Job[Any]]:
        """The jobs of all its ticks from one moment to another, run now.

        What is there already makes no second job, so it is safe to ask again.

        Raises:
            ConfigError: a time has no zone, or there are more than 10,000 ticks.
        """
        flow = flows.backfill(self._config, name, _ms(first, "first"), _ms(last, "last"))
        queue, ids = await self._run(flow)
        return [self._handle(one, queue) for one in ids]

    def _job(self, made: tuple[str, str]) -> Job[Any]:
        queue, job_id = made
        return self._handle(job_id, queue)

    async def _run(self, flow: Any) -> Any:
        return await self._connections.here().transport.run(flow)


class BlockingSchedules:
    """The same for blocking code: ``app.schedules_sync``."""

    def __init__(self, config: StoreConfig, connections: Connections, handle: Handle) -> None:
        self._config = config
        self._connections = connections
        self._handle = handle

    def upsert(
        self,
        name: str,
        call: TaskCall[Any],
        *,
        cron: str | None = None,
        every: str | float | timedelta | None = None,
        **timing: Unpack[Timing],
    ) -> str:
        """As ``Schedules.upsert``."""
        schedule = scheduled(name, call, settings_of(cron, every, timing))
        return self._run(flows.upsert(self._config, schedule, "api"))

    def get(self, name: str) -> ScheduleInfo:
        """As ``Schedules.get``."""
        return self._run(flows.get(self._config, name))

    def list(self) -> list[ScheduleInfo]:
        """As ``Schedules.list``."""
        return self._run(flows.listed(self._config))

    def pause(self, name: str) -> str:
        """As ``Schedules.pause``."""
        return self._run(flows.turn(self._config, name, is_paused=True))

    def resume(self, name: str) -> str:
        """As ``Schedules.resume``."""
        return self._run(flows.turn(self._config, name, is_paused=False))

    def trigger(self, name: str) -> Job[Any]:
        """As ``Schedules.trigger``."""
        queue, job_id = self._run(flows.trigger(self._config, name))
        return self._handle(job_id, queue)

    def delete(self, name: str, *, force: bool = False) -> None:
        """As ``Schedules.delete``."""
        self._run(flows.delete(self._config, name, force=force))

    def history(self, name: str, limit: int = 100) -> list[Tick]:
        """As ``Schedules.history``."""
        return self._run(flows.history(self._config, name, limit))

    def next(self, name: str, count: int = 5) -> list[datetime]:
        """As ``Schedules.next``."""
        return self._run(flows.upcoming(self._config, name, count))

    def backfill(self, name: str, first: datetime, last: datetime) -> list[Job[Any]]:
        """As ``Schedules.backfill``."""
        flow = flows.backfill(self._config, name, _ms(first, "first"), _ms(last, "last"))
        queue, ids = self._run(flow)
        return [self._handle(one, queue) for one in ids]

    def _run(self, flow: Any) -> Any:
        return self._connections.blocking().run(flow)
