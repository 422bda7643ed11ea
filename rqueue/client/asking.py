"""What a client asks of a job that is there: how it goes and how it ends, and to change that."""

from __future__ import annotations

from rqueue.client.connections import Connections
from rqueue.client.endings import open_ending, result_of
from rqueue.client.listener import ending_sync
from rqueue.codec import capped
from rqueue.config import StoreConfig
from rqueue.envelope import named
from rqueue.errors import JobNotFound
from rqueue.ids import lengthen
from rqueue.job import JobInfo, JobState
from rqueue.store.calls import jobs
from rqueue.store.calls.info import job_info
from rqueue.store.calls.jobs import Ending
from rqueue.store.keys import QueueKeys, queue_keys


class Asking:
    """Waits, looks, cancels and reschedules; ids are in their short form.

    Args:
        config: how Redis is reached.
        connections: where the trips are made.
    """

    def __init__(self, config: StoreConfig, connections: Connections) -> None:
        self._config = config
        self._connections = connections

    async def result(self, queue: str, job_id: str, timeout: float | None) -> bytes:
        """Wait for the encoded result."""
        listener = self._connections.here().listener
        ending = await listener.ending(self._keys(queue), job_id, timeout)
        return self._result(ending, queue, job_id)

    def result_sync(self, queue: str, job_id: str, timeout: float | None) -> bytes:
        """``result`` for blocking code."""
        ending = ending_sync(self._connections.blocking(), self._keys(queue), job_id, timeout)
        return self._result(ending, queue, job_id)

    async def wait(self, queue: str, job_id: str, timeout: float | None) -> JobState:
        """Wait for the end."""
        listener = self._connections.here().listener
        ending = await listener.ending(self._keys(queue), job_id, timeout)
        return _state(ending, job_id, queue)

    def wait_sync(self, queue: str, job_id: str, timeout: float | None) -> JobState:
        """``wait`` for blocking code."""
        ending = ending_sync(self._connections.blocking(), self._keys(queue), job_id, timeout)
        return _state(ending, job_id, queue)

    async def info(self, queue: str, job_id: str) -> JobInfo:
        """Everything known of a job."""
        flow = job_info(self._keys(queue), job_id, self._config.protection)
        return self._told(await self._connections.here().transport.run(flow), job_id, queue)

    def info_sync(self, queue: str, job_id: str) -> JobInfo:
        """``info`` for blocking code."""
        flow = job_info(self._keys(queue), job_id, self._config.protection)
        return self._told(self._connections.blocking().run(flow), job_id, queue)

    async def cancel(self, queue: str, job_id: str, reason: str) -> str:
        """End a job, or ask its worker to stop it."""
        flow = jobs.cancel(self._keys(queue), job_id, capped(reason))
        return _found(await self._connections.here().transport.run(flow), job_id, queue)

    def cancel_sync(self, queue: str, job_id: str, reason: str) -> str:
        """``cancel`` for blocking code."""
        flow = jobs.cancel(self._keys(queue), job_id, capped(reason))
        return _found(self._connections.blocking().run(flow), job_id, queue)

    async def reschedule(self, queue: str, job_id: str, due: str) -> str:
        """Give a job that waits another time."""
        flow = jobs.reschedule(self._keys(queue), job_id, due)
        return _found(await self._connections.here().transport.run(flow), job_id, queue)

    def reschedule_sync(self, queue: str, job_id: str, due: str) -> str:
        """``reschedule`` for blocking code."""
        flow = jobs.reschedule(self._keys(queue), job_id, due)
        return _found(self._connections.blocking().run(flow), job_id, queue)

    def _told(self, info: JobInfo | None, job_id: str, queue: str) -> JobInfo:
        if info is None:
            raise JobNotFound(lengthen(job_id), queue)
        return named(info, self._config.max_payload)

    def _result(self, ending: Ending, queue: str, job_id: str) -> bytes:
        opened = open_ending(ending, self._config.protection, queue, job_id)
        return result_of(opened, lengthen(job_id), queue)

    def _keys(self, queue: str) -> QueueKeys:
        return queue_keys(self._config.namespace, queue)


def _state(ending: Ending, job_id: str, queue: str) -> JobState:
    if ending.state == "missing":
        raise JobNotFound(lengthen(job_id), queue)
    return JobState(ending.state)


def _found(answer: str, job_id: str, queue: str) -> str:
    if answer == "missing":
        raise JobNotFound(lengthen(job_id), queue)
    return answer
