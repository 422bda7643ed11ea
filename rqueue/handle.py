"""A job from its producer's side: what `enqueue` returns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

from rqueue.durability import Mode
from rqueue.job import JobInfo, JobState
from rqueue.options import Seconds, due_of

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class JobReader(Protocol):
    """What a handle asks of its client; ids are in their short form."""

    async def result(self, queue: str, job_id: str, timeout: float | None) -> bytes:
        """Wait for the encoded result."""
        ...

    def result_sync(self, queue: str, job_id: str, timeout: float | None) -> bytes:
        """Wait for the encoded result."""
        ...

    async def wait(self, queue: str, job_id: str, timeout: float | None) -> JobState:
        """Wait for the end."""
        ...

    def wait_sync(self, queue: str, job_id: str, timeout: float | None) -> JobState:
        """Wait for the end."""
        ...

    async def info(self, queue: str, job_id: str) -> JobInfo:
        """Everything known of the job."""
        ...

    def info_sync(self, queue: str, job_id: str) -> JobInfo:
        """Everything known of the job."""
        ...

    async def cancel(self, queue: str, job_id: str, reason: str) -> str:
        """End the job, or ask its worker to stop it."""
        ...

    def cancel_sync(self, queue: str, job_id: str, reason: str) -> str:
        """End the job, or ask its worker to stop it."""
        ...

    async def reschedule(self, queue: str, job_id: str, due: str) -> str:
        """Give the job another time."""
        ...

    def reschedule_sync(self, queue: str, job_id: str, due: str) -> str:
        """Give the job another time."""
        ...


class Job(Generic[R_co]):
    """One job: its id, and what can be asked of it.

    Attributes:
        id: the job's id.
        queue: its queue.
        status: what became of the enqueue: ``accepted``, ``duplicate`` (this id with this content
            was there), ``locked`` (another job holds the unique key; this handle is that job's),
            or ``""`` for a handle made from an id.
        durability: what was met when the enqueue returned: ``local``, ``fsync``, ``replicated``,
            or ``""`` for a handle made from an id.
    """

    __slots__ = ("_decode", "_reader", "_short", "durability", "id", "queue", "status")

    def __init__(
        self,
        reader: JobReader,
        queue: str,
        ids: tuple[str, str],
        status: str,
        decode: Callable[[bytes], R_co],
        durability: Mode | Literal[""] = "",
    ) -> None:
        self._reader = reader
        self._decode = decode
        self.queue = queue
        self.id, self._short = ids
        self.status = status
        self.durability = durability

    async def result(self, timeout: float | None = None) -> R_co:
        """Wait for the job to succeed and return what its task returned.

        Args:
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            JobFailed: it is dead.
            JobCancelled: it was cancelled or discarded.
            JobExpired: it could not be started before its ``expires``.
            JobNotFound: there is no such job, or its record has expired.
            ResultGone: it succeeded, but its result was not kept.
            ResultTimeout: it has not ended in time.
            CodecError: the result does not fit the task's return annotation.
        """
        return self._decode(await self._reader.result(self.queue, self._short, timeout))

    def result_sync(self, timeout: float | None = None) -> R_co:
        """``result`` for blocking code."""
        return self._decode(self._reader.result_sync(self.queue, self._short, timeout))

    async def wait(self, timeout: float | None = None) -> JobState:
        """Wait for the job to end, however it does; returns the state it ended in.

        Raises:
            JobNotFound: there is no such job, or its record has expired.
            ResultTimeout: it has not ended in time.
        """
        return await self._reader.wait(self.queue, self._short, timeout)

    def wait_sync(self, timeout: float | None = None) -> JobState:
        """``wait`` for blocking code."""
        return self._reader.wait_sync(self.queue, self._short, timeout)

    async def info(self) -> JobInfo:
        """State, attempts, times, worker and error history.

        Raises:
            JobNotFound: there is no such job, or its record has expired.
        """
        return await self._reader.info(self.queue, self._short)

    def info_sync(self) -> JobInfo:
        """``info`` for blocking code."""
        return self._reader.info_sync(self.queue, self._short)

    async def cancel(self, reason: str = "") -> str:
        """End the job, or ask its worker to stop it.

        Returns:
            ``cancelled``; ``requested`` when it runs: its worker cancels an async or process
            task at once, a sync task in a thread sees ``ctx.cancelled``; or the state of a job
            that had ended already.

        Raises:
            JobNotFound: there is no such job.
        """
        return await self._reader.cancel(self.queue, self._short, reason)

    def cancel_sync(self, reason: str = "") -> str:
        """``cancel`` for blocking code."""
        return self._reader.cancel_sync(self.queue, self._short, reason)

    async def reschedule(
        self, *, delay: Seconds | None = None, run_at: datetime | None = None
    ) -> str:
        """Give a job that waits another time: earlier, later, or now.

        It may wait for its time (delayed, for its next attempt, snoozed) or for a worker.

        Args:
            delay: how long from now, by Redis' clock: seconds, a timedelta, or ``90s``.
            run_at: an aware time; the past means now.

        Returns:
            ``rescheduled``: it waits for that time; ``queued``: it was due by then, and waits for
            a worker; ``running``: too late, a worker has it; or the state of a job that had ended.

        Raises:
            JobNotFound: there is no such job.
            ConfigError: not one of ``delay`` and ``run_at`` was given, or it is no time.
        """
        due = due_of(delay, run_at)
        return await self._reader.reschedule(self.queue, self._short, due)

    def reschedule_sync(
        self, *, delay: Seconds | None = None, run_at: datetime | None = None
    ) -> str:
        """``reschedule`` for blocking code."""
        return self._reader.reschedule_sync(self.queue, self._short, due_of(delay, run_at))

    async def promote(self) -> str:
        """Let a job that waits for its time run now; ``reschedule`` says what is returned."""
        return await self.reschedule(delay=0)

    def promote_sync(self) -> str:
        """``promote`` for blocking code."""
        return self.reschedule_sync(delay=0)

    def __repr__(self) -> str:
        """Id, queue and status."""
        return f"<Job {self.id} queue={self.queue} {self.status}>".replace(" >", ">")

    def __eq__(self, other: object) -> bool:
        """Two handles are equal when they name the same job."""
        if not isinstance(other, Job):
            return NotImplemented
        theirs = cast("Job[Any]", other)
        return (self.queue, self.id) == (theirs.queue, theirs.id)

    def __hash__(self) -> int:
        """By queue and id."""
        return hash((self.queue, self.id))
