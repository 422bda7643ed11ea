"""The inspector: looks at queues, pauses them, handles dead letters; async and blocking alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from rqueue import inspection
from rqueue.client.connections import Connections
from rqueue.config import StoreConfig
from rqueue.inspection import Cap, Requeued
from rqueue.job import JobInfo
from rqueue.options import Seconds
from rqueue.scaling import Demand, demand
from rqueue.stats import Stats
from rqueue.store.calls.queues import QueueInfo


class Inspector:
    """Operations on whole queues, for async code: ``app.inspector``."""

    def __init__(self, config: StoreConfig, connections: Connections) -> None:
        self._config = config
        self._namespace = config.namespace
        self._connections = connections

    async def queues(self, *names: str) -> list[QueueInfo]:
        """These queues, or every queue, with their numbers."""
        return await self._transport().run(inspection.queues(self._namespace, names))

    async def pause(self, queue: str) -> str:
        """Workers take nothing more from a queue: ``paused``, or ``already``.

        A worker that waits for a job may take one that comes before it has heard of it: a moment.
        """
        return await self._transport().run(inspection.pause(self._namespace, queue))

    async def resume(self, queue: str) -> str:
        """Workers take jobs from a queue again: ``resumed``, or ``already``."""
        return await self._transport().run(inspection.resume(self._namespace, queue))

    async def limit(
        self,
        queue: str,
        *,
        waiting: Cap = UNSET,
        scheduled: Cap = UNSET,
        payload: Cap = UNSET,
    ) -> QueueInfo:
        """Cap a queue, for its producers: beyond it they get ``QueueFull``, or ``PayloadTooLarge``.

        What is left out stays as it is; None = no cap any more.

        Args:
            queue: known so far or not.
            waiting: how many jobs may be ready or running.
            scheduled: how many may wait for their time, retries included.
            payload: bytes that the envelope of a job may have, whatever the producer's app allows.
        """
        flow = inspection.limit(self._namespace, queue, waiting, scheduled, payload)
        return await self._transport().run(flow)

    async def aim(self, queue: str, wait_s: float | None) -> QueueInfo:
        """Say how many seconds a job of a queue should wait at the most until it begins.

        Nothing is refused for it: it is what metrics, alerts and scaling measure by. Workers hear
        of it within a minute. None = nobody minds.
        """
        return await self._transport().run(inspection.aim(self._namespace, queue, wait_s))

    async def demand(self, *queues: str, slots: int | None = None) -> Demand:
        """How many worker replicas these queues should have, if the same workers serve them.

        Args:
            queues: one or several.
            slots: jobs that a replica runs at a time; None = as the workers say that are there.
        """
        return await self._transport().run(demand(self._namespace, queues, slots))

    async def dead(self, queue: str, offset: int = 0, limit: int = 50) -> list[JobInfo]:
        """Dead letters, the latest first."""
        return await self._transport().run(inspection.dead(self._config, queue, offset, limit))

    async def requeue(self, queue: str, ids: Sequence[str] | None = None) -> Requeued:
        """Dead jobs run again: these, or all; returns how many, and which do not, and why."""
        return await self._transport().run(inspection.requeue(self._namespace, queue, ids))

    async def discard(self, queue: str, ids: Sequence[str] | None = None) -> int:
        """Dead jobs are forgotten: these, or all; returns how many."""
        return await self._transport().run(inspection.discard(self._namespace, queue, ids))

    async def find(self, job_id: str) -> JobInfo | None:
        """A job by its id alone, in whatever queue it is."""
        return await self._transport().run(inspection.find(self._config, job_id))

    async def stats(
        self,
        *queues: str,
        task: str | None = None,
        since: Seconds = "1h",
        failures: int = 50,
    ) -> Stats:
        """What became of jobs lately: rates, failures, how long they ran and waited, by task.

        Args:
            queues: these, or every queue.
            task: of this task alone.
            since: seconds, a timedelta or a text such as ``24h``: a minute to seven days.
            failures: so many of the latest failures at the most, up to 500 of a queue.
        """
        flow = inspection.stats(self._config, queues, task, since, failures)
        return await self._transport().run(flow)

    def _transport(self) -> Any:
        return self._connections.here().transport


class BlockingInspector:
    """Operations on whole queues, for blocking code: ``app.inspector_sync``."""

    def __init__(self, config: StoreConfig, connections: Connections) -> None:
        self._config = config
        self._namespace = config.namespace
        self._connections = connections

    def queues(self, *names: str) -> list[QueueInfo]:
        """These queues, or every queue, with their numbers."""
        return self._transport().run(inspection.queues(self._namespace, names))

    def pause(self, queue: str) -> str:
        """Workers take nothing more from a queue: ``paused``, or ``already``.

        A worker that waits for a job may take one that comes before it has heard of it: a moment.
        """
        return self._transport().run(inspection.pause(self._namespace, queue))

    def resume(self, queue: str) -> str:
        """Workers take jobs from a queue again: ``resumed``, or ``already``."""
        return self._transport().run(inspection.resume(self._namespace, queue))

    def limit(
        self,
        queue: str,
        *,
        waiting: Cap = UNSET,
        scheduled: Cap = UNSET,
        payload: Cap = UNSET,
    ) -> QueueInfo:
        """Cap a queue, for its producers: beyond it they get ``QueueFull``, or ``PayloadTooLarge``.

        What is left out stays as it is; None = no cap any more.

        Args:
            queue: known so far or not.
            waiting: how many jobs may be ready or running.
            scheduled: how many may wait for their time, retries included.
            payload: bytes that the envelope of a job may have, whatever the producer's app allows.
        """
        flow = inspection.limit(self._namespace, queue, waiting, scheduled, payload)
        return self._transport().run(flow)

    def aim(self, queue: str, wait_s: float | None) -> QueueInfo:
        """Say how many seconds a job of a queue should wait at the most until it begins.

        Nothing is refused for it: it is what metrics, alerts and scaling measure by. Workers hear
        of it within a minute. None = nobody minds.
        """
        return self._transport().run(inspection.aim(self._namespace, queue, wait_s))

    def demand(self, *queues: str, slots: int | None = None) -> Demand:
        """How many worker replicas these queues should have, if the same workers serve them.

        Args:
            queues: one or several.
            slots: jobs that a replica runs at a time; None = as the workers say that are there.
        """
        return self._transport().run(demand(self._namespace, queues, slots))

    def dead(self, queue: str, offset: int = 0, limit: int = 50) -> list[JobInfo]:
        """Dead letters, the latest first."""
        return self._transport().run(inspection.dead(self._config, queue, offset, limit))

    def requeue(self, queue: str, ids: Sequence[str] | None = None) -> Requeued:
        """Dead jobs run again: these, or all; returns how many, and which do not, and why."""
        return self._transport().run(inspection.requeue(self._namespace, queue, ids))

    def discard(self, queue: str, ids: Sequence[str] | None = None) -> int:
        """Dead jobs are forgotten: these, or all; returns how many."""
        return self._transport().run(inspection.discard(self._namespace, queue, ids))

    def find(self, job_id: str) -> JobInfo | None:
        """A job by its id alone, in whatever queue it is."""
        return self._transport().run(inspection.find(self._config, job_id))

    def stats(
        self,
        *queues: str,
        task: str | None = None,
        since: Seconds = "1h",
        failures: int = 50,
    ) -> Stats:
        """What became of jobs lately: rates, failures, how long they ran and waited, by task.

        Args:
            queues: these, or every queue.
            task: of this task alone.
            since: seconds, a timedelta or a text such as ``24h``: a minute to seven days.
            failures: so many of the latest failures at the most, up to 500 of a queue.
        """
        flow = inspection.stats(self._config, queues, task, since, failures)
        return self._transport().run(flow)

    def _transport(self) -> Any:
        return self._connections.blocking()
