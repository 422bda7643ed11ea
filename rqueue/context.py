"""What a task may know of the job it runs: an optional first parameter."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Generic, Protocol

import msgspec
from typing_extensions import TypeVar

from rqueue.veiled import Veiled

S = TypeVar("S", default=None)

CORRELATION = "correlation-id"
"""The header that a job hands on to the jobs that its handler enqueues."""


class Stop:
    """Whether an attempt should stop; shared by all copies of its context."""

    __slots__ = ("is_asked",)

    def __init__(self) -> None:
        self.is_asked = False


class Context(Veiled, msgspec.Struct, Generic[S], kw_only=True, eq=False):
    """The running job, for a task whose first parameter is annotated ``Context``.

    ``Context[MyState]`` says which type the worker's lifespan yields.

    Attributes:
        job_id: the job's id, as its producer knows it.
        queue: its queue.
        task: its task's name.
        attempt: which attempt this is, from 1.
        max_attempts: how many there may be.
        crashes: workers that died while it ran, within a day.
        fencing_token: grows with every delivery of this job; give it to resources that can refuse
            a smaller one, so that a zombie cannot overwrite its successor's work (Kleppmann, "How
            to do distributed locking", 2016).
        worker: the id of the worker.
        headers: what the producer sent along for middleware.
        state: what the worker's lifespan yielded.
    """

    veiled = ("state",)

    job_id: str
    queue: str
    task: str
    attempt: int = 1
    max_attempts: int = 1
    crashes: int = 0
    fencing_token: int = 0
    worker: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    state: S
    _stop: Stop = msgspec.field(default_factory=Stop)

    @property
    def cancelled(self) -> bool:
        """Whether this attempt should stop: cancelled, timed out, or its worker lost the job.

        An async task is cancelled by its event loop and need not ask. A sync task runs in a
        thread, which nothing can stop from outside: a long one should ask now and then.
        """
        return self._stop.is_asked

    def __repr__(self) -> str:
        """Which job it is; not the state, which may hold secrets."""
        return f"<Context {self.task} job={self.job_id} attempt={self.attempt}>"

    def request_stop(self) -> None:
        """Make ``cancelled`` true; called by the worker."""
        self._stop.is_asked = True


class AtWork(Protocol):
    """A job whose handler runs; its context is made when somebody asks."""

    @property
    def ctx(self) -> Context[Any]:
        """What is known of it."""
        ...


at_work: ContextVar[AtWork | None] = ContextVar("rqueue_at_work", default=None)
"""The job whose handler runs here; set by what runs it."""


def current_job() -> Context[Any] | None:
    """The job whose handler runs here, or None: also in what it calls, and in its threads."""
    job = at_work.get()
    return None if job is None else job.ctx
