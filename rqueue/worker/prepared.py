"""A delivery on its way to its task: what is known of it before it runs."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from rqueue.context import Context
from rqueue.envelope import OpenedEnvelope
from rqueue.ids import lengthen
from rqueue.outcome import Outcome
from rqueue.retry import Retry
from rqueue.signature import Bound
from rqueue.worker.runners import AnyTask
from rqueue.worker.settling import Ran


class Prepared:
    """A delivery that can be run.

    Attributes:
        task: what to run.
        opened: the envelope.
        bound: its decoded arguments.
        retry: the job's policy.
        timeout: seconds the attempt may take.
        is_cut: whether that is the time until the job's deadline, which is less than its timeout.
        ran: what the finisher will be told.
        state: what the lifespan yielded.
        thread: the sync function at work, which may outlive its attempt.
    """

    __slots__ = (
        *("_ctx", "_is_stopped", "bound", "is_cut", "opened", "ran", "retry"),
        *("state", "task", "thread", "timeout"),
    )

    def __init__(
        self, task: AnyTask, opened: OpenedEnvelope, bound: Bound, retry: Retry, ran: Ran
    ) -> None:
        self.task = task
        self.opened = opened
        self.bound = bound
        self.retry = retry
        self.ran = ran
        self.timeout = opened.envelope.timeout or task.declared.timeout
        self.is_cut = False
        self.state: Any = None
        self.thread: asyncio.Future[object] | None = None
        self._ctx: Context[Any] | None = None
        self._is_stopped = False

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self.ran.delivery.attempts + 1

    @property
    def ctx(self) -> Context[Any]:
        """What the task may know; made when somebody asks, for most tasks do not."""
        if self._ctx is None:
            delivery = self.ran.delivery
            self._ctx = Context(
                job_id=lengthen(delivery.job_id),
                queue=delivery.queue,
                task=self.task.name,
                attempt=self.attempt,
                max_attempts=self.retry.max_attempts,
                crashes=delivery.crashes,
                fencing_token=delivery.token,
                worker=delivery.worker,
                headers=self.opened.envelope.headers,
                state=self.state,
            )
            if self._is_stopped:
                self._ctx.request_stop()
        return self._ctx

    def cut(self, left_s: float | None) -> None:
        """Leave it no more than the seconds until its deadline."""
        if left_s is not None and left_s < self.timeout:
            self.timeout, self.is_cut = max(left_s, 0.001), True

    def request_stop(self) -> None:
        """Make ``ctx.cancelled`` true."""
        self._is_stopped = True
        if self._ctx is not None:
            self._ctx.request_stop()


class Refused(msgspec.Struct, frozen=True):
    """A delivery that cannot be run, and what becomes of it."""

    ran: Ran
    outcome: Outcome
