"""Schedules at run time, for async and for blocking code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Unpack

from rqueue.client.connections import Connections
from rqueue.config import StoreConfig
from rqueue.events import Observers
from rqueue.handle import Job
from rqueue.options import Seconds
from rqueue.schedules import flows, putting
from rqueue.schedules.info import Coming, ScheduleInfo, Tick
from rqueue.schedules.making import scheduled
from rqueue.task import TaskCall
from rqueue.timing import Timing, moment_ms, settings_of

Handle = Callable[[str, str], Job[Any]]


class Schedules:
    """Schedules at run time: ``app.schedules``.

    Each of its methods raises ``StoreError`` when Redis cannot be asked, and those that take the
    name of a schedule raise ``ScheduleNotFound``.
    """

    def __init__(
        self, config: StoreConfig, connections: Connections, handle: Handle, observers: Observers
    ) -> None:
        self._config = config
        self._connections = connections
        self._handle = handle
        self._observers = observers

    async def upsert(
        self,
        name: str,
        call: TaskCall[Any],
        *,
        cron: str | None = None,
        every: Seconds | None = None,
        **timing: Unpack[Timing],
    ) -> str:
        """Put a schedule, or change the one of that name: ``created``, ``updated``, ``unchanged``.

        Raises:
            ConfigError: something is not allowed, or that schedule is declared in code.
        """
        schedule = scheduled(name, call, settings_of(cron, every, timing))
        return await self._run(putting.upsert(self._config, schedule, "api"))

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
        flow = flows.trigger(self._config, name, self._observers.tracing)
        return self._job(await self._run(flow))

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Forget it; one that is declared in code only with ``force``. Its jobs stay."""
        await self._run(flows.delete(self._config, name, force=force))

    async def history(self, name: str, limit: int = 100) -> list[Tick]:
        """What became of its latest ticks, the latest first; a hundred are remembered."""
        return await self._run(flows.history(self._config, name, limit))

    async def next(self, name: str, count: int = 5) -> list[datetime]:
        """Its next ticks, without jitter."""
        return [one.tick for one in await self.coming(name, count)]

    async def coming(self, name: str, count: int = 5) -> list[Coming]:
        """The same, with their local time, and what a change of the clocks does to them."""
        return await self._run(flows.upcoming(self._config, name, count))

    async def past(self, name: str, first: datetime, last: datetime) -> list[datetime]:
        """The ticks from one moment to another, which ``backfill`` would run; raises as it does."""
        bounds = moment_ms(first, "first"), moment_ms(last, "last")
        return await self._run(flows.past(self._config, name, *bounds))

    async def backfill(self, name: str, first: datetime, last: datetime) -> list[Job[Any]]:
        """The jobs of all its ticks from one moment to another, run now; limits count from now.

        What is there already makes no second job, so it is safe to ask again.

        Raises:
            ConfigError: a time has no zone or is still to come, or there are more than 10,000
                ticks.
        """
        flow = flows.backfill(
            self._config, name, moment_ms(first, "first"), moment_ms(last, "last")
        )
        queue, ids = await self._run(flow)
        return [self._handle(one, queue) for one in ids]

    def _job(self, made: tuple[str, str]) -> Job[Any]:
        queue, job_id = made
        return self._handle(job_id, queue)

    async def _run(self, flow: Any) -> Any:
        return await self._connections.here().transport.run(flow)


class BlockingSchedules:
    """The same for blocking code: ``app.schedules_sync``."""

    def __init__(
        self, config: StoreConfig, connections: Connections, handle: Handle, observers: Observers
    ) -> None:
        self._config = config
        self._connections = connections
        self._handle = handle
        self._observers = observers

    def upsert(
        self,
        name: str,
        call: TaskCall[Any],
        *,
        cron: str | None = None,
        every: Seconds | None = None,
        **timing: Unpack[Timing],
    ) -> str:
        """As ``Schedules.upsert``."""
        schedule = scheduled(name, call, settings_of(cron, every, timing))
        return self._run(putting.upsert(self._config, schedule, "api"))

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
        flow = flows.trigger(self._config, name, self._observers.tracing)
        queue, job_id = self._run(flow)
        return self._handle(job_id, queue)

    def delete(self, name: str, *, force: bool = False) -> None:
        """As ``Schedules.delete``."""
        self._run(flows.delete(self._config, name, force=force))

    def history(self, name: str, limit: int = 100) -> list[Tick]:
        """As ``Schedules.history``."""
        return self._run(flows.history(self._config, name, limit))

    def next(self, name: str, count: int = 5) -> list[datetime]:
        """As ``Schedules.next``."""
        return [one.tick for one in self.coming(name, count)]

    def coming(self, name: str, count: int = 5) -> list[Coming]:
        """As ``Schedules.coming``."""
        return self._run(flows.upcoming(self._config, name, count))

    def past(self, name: str, first: datetime, last: datetime) -> list[datetime]:
        """As ``Schedules.past``."""
        bounds = moment_ms(first, "first"), moment_ms(last, "last")
        return self._run(flows.past(self._config, name, *bounds))

    def backfill(self, name: str, first: datetime, last: datetime) -> list[Job[Any]]:
        """As ``Schedules.backfill``."""
        flow = flows.backfill(
            self._config, name, moment_ms(first, "first"), moment_ms(last, "last")
        )
        queue, ids = self._run(flow)
        return [self._handle(one, queue) for one in ids]

    def _run(self, flow: Any) -> Any:
        return self._connections.blocking().run(flow)
