"""What the demo asks of Redis while it runs, and what it takes as the truth afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from rqueue.app import App
from rqueue.demo.failure import DemoFailed
from rqueue.demo.processes import Member
from rqueue.errors import JobNotFound
from rqueue.handle import Job
from rqueue.ids import lengthen
from rqueue.job import JobInfo
from rqueue.options import seconds
from rqueue.store.calls import entries
from rqueue.store.calls.queues import QueueInfo
from rqueue.store.keys import queue_keys
from rqueue.task import TaskCall

_KILL_SECONDS = 30.0


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it was asked for.

    Attributes:
        id: the job's id.
        task: its task's name.
        priority: its priority.
        delay_s: for how long it was put off; 0 = not at all.
    """

    id: str
    task: str
    priority: str
    delay_s: float = 0.0


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process that was killed.

    Attributes:
        member: its name.
        pid: its process id.
        worker: its id as Redis knows it.
        at: when, seconds since the epoch.
        held: ids of the jobs that Redis said were in its hands.
    """

    member: str
    pid: int
    worker: str
    at: float
    held: frozenset[str]


class Desk:
    """One queue, seen from the demo.

    Args:
        app: whose Redis it is.
        queue: the queue.
    """

    def __init__(self, app: App, queue: str) -> None:
        self._app = app
        self._keys = queue_keys(app.store.namespace, queue)
        self.sent: list[Sent] = []
        self._jobs: list[Job[Any]] = []

    def send(self, calls: Sequence[TaskCall[Any]]) -> None:
        """Enqueue, and remember the ids."""
        jobs = self._app.enqueue_many_sync(calls)
        for call, job in zip(calls, jobs, strict=True):
            chosen = call.options
            self.sent.append(
                Sent(
                    id=job.id,
                    task=call.task,
                    priority=chosen.get("priority", call.defaults.priority),
                    delay_s=seconds(chosen.get("delay", 0.0)),
                )
            )
        self._jobs += jobs

    def await_each(self, call: Callable[[], TaskCall[Any]], count: int, timeout: float) -> None:
        """Send many calls, each after the one before has ended."""
        for _ in range(count):
            self.send([call()])
            self._jobs[-1].wait_sync(timeout)

    def look(self) -> QueueInfo:
        """The numbers of the queue."""
        return self._app.inspector_sync.queues(self._keys.queue)[0]

    def records(self) -> dict[str, JobInfo]:
        """What Redis has recorded of every job that was sent; lost ones are not in it."""
        found: dict[str, JobInfo] = {}
        for job in self._jobs:
            with suppress(JobNotFound):
                found[job.id] = job.info_sync()
        return found

    def kill_one(self, members: Sequence[Member]) -> Kill:
        """Kill the worker that holds most, at a moment when it certainly holds something.

        It is frozen first, and Redis is asked while it can change nothing any more.

        Raises:
            DemoFailed: none of them took a job in half a minute.
        """
        deadline = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < deadline:
            ids = self._worker_ids(members)
            victim = max(ids, key=lambda member: len(self._held(ids[member])))
            victim.freeze()
            # What it had sent before it froze is in Redis' socket; the first answer lets it pass.
            self._held(ids[victim])
            held = self._held(ids[victim])
            if held:
                victim.kill()
                return Kill(
                    member=victim.name,
                    pid=victim.process.pid,
                    worker=ids[victim],
                    at=time.time(),
                    held=held,
                )
            victim.thaw()
            time.sleep(0.01)
        raise DemoFailed("no worker took a job, so there was none to kill at work")

    def _worker_ids(self, members: Sequence[Member]) -> dict[Member, str]:
        cards = self._app.workers_sync.list()
        by_pid = {card["pid"]: worker for worker, card in cards.items()}
        return {one: by_pid[one.process.pid] for one in members}

    def _held(self, worker: str) -> frozenset[str]:
        transport = self._app.connections.blocking()
        places = transport.send(entries.pending(self._keys, worker))
        read = transport.run(entries.read(self._keys, worker, places))
        return frozenset(lengthen(one.job_id) for one in read)
