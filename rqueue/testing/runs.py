"""What ran under a test, and what would not end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Self

import msgspec

from rqueue.clock import from_ms, now_ms
from rqueue.errors import RqueueError
from rqueue.events import JobFinished


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that ended.

    Attributes:
        task: name of its task.
        job_id: the job.
        queue: where it was.
        attempt: which attempt, from 1.
        at: when, by the test's clock; UTC.
        ending: ``complete``, ``retry``, ``bury``, ``snooze``, ``park``, ``release``, ``cancel`` or
            ``expire``.
        error: type of the exception, or "".
        status: whether Redis took it: ``recorded``, or why not; see ``rqueue.events.JobFinished``.
    """

    task: str
    job_id: str
    queue: str
    attempt: int
    at: datetime
    ending: str
    error: str = ""
    status: str = "recorded"

    @classmethod
    def of(cls, event: JobFinished) -> Self:
        """The run whose end was told just now."""
        return cls(
            task=event.task,
            job_id=event.job_id,
            queue=event.queue,
            attempt=event.attempt,
            at=from_ms(now_ms()),
            ending=event.ending,
            error=event.error,
            status=event.status,
        )


class StillBusy(RqueueError):
    """Jobs still run or wait although the clock stands still.

    Attributes:
        at: where the clock stands; UTC.
        seconds: of real time that were waited.
        tasks: what has begun and not ended, by task.
    """

    def __init__(self, at: datetime, seconds: float, tasks: Iterable[str]) -> None:
        self.at = at
        self.seconds = seconds
        self.tasks = sorted(tasks)
        what = f"still run: {', '.join(self.tasks)}" if self.tasks else "wait, and nothing runs"
        super().__init__(
            f"after {seconds:g} s of real time at {at:%Y-%m-%d %H:%M:%S} UTC jobs {what}. Time "
            "goes on only when all that is ready has ended: does a handler sleep, wait for a "
            "later moment, or enqueue without end? Harness(patience=...) waits longer"
        )
