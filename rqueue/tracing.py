"""Where tracing is plugged in: what is told of jobs on their way, and what they carry.

Nothing here knows a tracing library, and nothing is done while none is plugged in;
``rqueue.contrib.otel`` is the one that comes along.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from rqueue.job import AttemptError

T = TypeVar("T")

LINK = "rqueue-trace"
"""The header of a job whose work is linked to the trace that sent it, and no part of it."""
LINK_ONLY = {LINK: "link"}

logger = logging.getLogger("rqueue")


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is about to be sent.

    Attributes:
        queue: where it goes.
        task: its task's name.
        job_id: its id.
        priority: its priority.
        headers: what it carries so far.
        url: of the Redis that it goes to.
    """

    queue: str
    task: str
    job_id: str
    priority: str
    headers: Mapping[str, str]
    url: str


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is about to begin.

    Attributes:
        queue: where its job was.
        task: its task's name.
        job_id: its job.
        attempt: which attempt, from 1.
        priority: of the job.
        wait_ms: since it was ready, by Redis' clock.
        age_s: seconds since its job was sent; 0 where nobody tells.
        worker: who runs it.
        headers: what the job carries.
        url: of the Redis that it came from.
    """

    queue: str
    task: str
    job_id: str
    attempt: int
    priority: str
    wait_ms: int
    age_s: float
    worker: str
    headers: Mapping[str, str]
    url: str


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended.

    Attributes:
        outcome: the verb (``rqueue.events.JobFinished``), or ``fenced``: the job is not ours any
            more.
        reason: why it is dead or cancelled.
        error: what it raised; sensitive arguments are cut out of its texts.
    """

    outcome: str
    reason: str = ""
    error: AttemptError | None = None


class Sending(Protocol):
    """Jobs on their way to Redis.

    Attributes:
        headers: what each is to carry.
    """

    headers: Sequence[Mapping[str, str]]

    def leave_out(self, places: Sequence[int]) -> None:
        """These jobs are sent without what was added to their headers: they were too large."""
        ...

    def end(self, statuses: Sequence[str], error: BaseException | None = None) -> None:
        """They were answered, one word for each; or this was raised.

        What another scheduler sent is not ended: it was not sent from here.
        """
        ...


class Processing(Protocol):
    """An attempt at work."""

    def end(self, ended: Ended) -> None:
        """It has ended."""
        ...


class Tracing(Protocol):
    """What follows jobs from where they are sent to where they run."""

    def send(self, jobs: Sequence[Outgoing], *, is_batch: bool) -> Sending:
        """Somebody sends one job, or several at once."""
        ...

    def tick(self, job: Outgoing) -> Sending:
        """A scheduler sends a job of a schedule; nobody's code asked for it."""
        ...

    def process(self, job: Incoming) -> Processing:
        """A worker begins an attempt; what runs in this context from now on belongs to it."""
        ...

    def carried(self) -> dict[str, str]:
        """What belongs to what runs here, for a child process."""
        ...

    def enter(self, carried: Mapping[str, str]) -> None:
        """In the child: what runs in this context from now on belongs to that."""
        ...


class Lines:
    """What log lines and metrics tell of the span to which they belong; None = nothing is traced.

    Attributes:
        ids: of the current span, by the names that log lines give them.
        trace: the id of its trace if that is kept, or "".
    """

    __slots__ = ("ids", "trace")

    def __init__(self) -> None:
        self.ids: Callable[[], Mapping[str, str]] | None = None
        self.trace: Callable[[], str] | None = None


lines = Lines()


def safely(step: Callable[[], T]) -> T | None:
    """Take a step of tracing; what it raises is logged, for no job is to fail of it."""
    try:
        return step()
    except Exception:
        logger.exception("tracing failed; the job goes on without it")
        return None
