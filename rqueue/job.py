"""A job as three values: its state, what a worker holds of it, and what is told of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from rqueue.veiled import Veiled


class JobState(StrEnum):
    """Where a job is in its life; ``docs/lifecycle.md`` has the transitions."""

    SCHEDULED = "scheduled"
    """Waits for its time."""
    QUEUED = "queued"
    """Ready; waits for a worker."""
    RUNNING = "running"
    """In a worker's hands. Nothing writes this state: it is read from the consumer group."""
    RETRYING = "retrying"
    """Failed and waits for its next attempt."""
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether no transition leaves this state by itself."""
        return self in _FINAL


_FINAL = frozenset({JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED, JobState.EXPIRED})


class AttemptError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One failed attempt: everything as capped text, nothing that could run code.

    Attributes:
        attempt: which attempt, from 1.
        type: qualified name of the exception.
        message: its text, capped at 4 kB.
        traceback: capped at 16 kB, the end kept.
        at: when it failed, ms since the epoch by the worker's clock.
        worker: the worker's id.
    """

    attempt: int
    type: str
    message: str = ""
    traceback: str = ""
    at: int = 0
    worker: str = ""


class Delivery(Veiled, msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job in a worker's hands: one stream entry, read but not settled.

    Attributes:
        queue: the queue's name.
        lane: the stream it was read from.
        entry_id: its id in that stream.
        job_id: short form (``rqueue.ids``).
        envelope: the encoded call, opaque to Redis.
        worker: the consumer that read it; one whose lease must hold when it is settled.
        priority: its own; the lane may be another.
        attempts: attempts charged before this one.
        crashes: workers that died while it ran, within a day.
        token: grows with every entry made for the job.
        first_ready_ms: when the job could first run, by Redis' clock; 0 = with this entry.
        is_foreign: written by a plain ``XADD``; it has no record before its first transition.
    """

    veiled = ("envelope",)

    queue: str
    lane: str
    entry_id: str
    job_id: str
    envelope: bytes
    worker: str
    priority: str = "normal"
    attempts: int = 0
    crashes: int = 0
    token: int = 0
    first_ready_ms: int = 0
    is_foreign: bool = False


class JobInfo(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a job: ``job.info()``, ``rqueue job show``.

    Attributes:
        id: the job's id.
        queue: its queue.
        state: where it is.
        task: its task's name; "" when only the worker could tell.
        priority: critical, high, normal or low; "" once it has ended well.
        attempts: attempts charged so far.
        crashes: workers that died while it ran; the history, also after its end.
        created_at: when Redis accepted it.
        due_at: when it is due, for scheduled and retrying jobs.
        started_at: when its last attempt began.
        finished_at: when it ended.
        worker: who runs or ran it last.
        reason: why it is dead or cancelled.
        unique: the unique key it holds; if it is dead, the one it asks for when it is requeued.
        cancel_requested: a cancel waits for the running attempt to stop.
        result: the encoded return value, if it succeeded and is kept.
        envelope: the encoded call, while it has not ended, and for dead jobs.
        errors: the failed attempts, oldest first.
        protected: which of ``result`` and ``envelope`` are there but could not be opened: signed or
            encrypted with keys that this app has not, or not as its own demand.
    """

    veiled = ("result", "envelope")

    id: str
    queue: str
    state: JobState
    task: str = ""
    priority: str = ""
    attempts: int = 0
    crashes: int = 0
    created_at: datetime | None = None
    due_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str = ""
    reason: str = ""
    unique: str = ""
    cancel_requested: bool = False
    result: bytes | None = None
    envelope: bytes | None = None
    errors: tuple[AttemptError, ...] = ()
    protected: tuple[str, ...] = ()
