"""What happened, as values: for observers, logs and metrics.

Observers are plain functions, called at once and never awaited, in the thread where it happened:
the event loop's, the heartbeat's for stalls, or a reaper's. They cannot change anything, and one
that raises is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from rqueue.tracing import Tracing

logger = logging.getLogger("rqueue")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every event; ``queue`` says where."""

    queue: str


class JobEnqueued(Event, frozen=True):
    """A producer's job was answered: ``status`` is accepted, duplicate or locked."""

    job_id: str
    task: str
    status: str


class JobStarted(Event, frozen=True):
    """A worker began an attempt."""

    job_id: str
    task: str
    attempt: int
    worker: str


class JobFinished(Event, frozen=True):
    """An attempt ended and Redis answered.

    Attributes:
        job_id: the job.
        task: its task's name; "" for an envelope that could not be read.
        attempt: which attempt, from 1.
        ending: the verb: complete, retry, bury, snooze, park, release, cancel, expire.
        status: ``recorded``, ``already``, or why it was refused: ``fenced``, ``stale``, ``lost``,
            ``corrupt``.
        seconds: how long the handler ran.
        error: type of the exception, or "".
        worker: who ran it.
    """

    job_id: str
    task: str
    attempt: int
    ending: str
    status: str
    seconds: float
    error: str
    worker: str


class WorkerFenced(Event, frozen=True):
    """A worker lost its lease on a queue; what it ran there was cancelled."""

    worker: str
    jobs: int


class WorkerReaped(Event, frozen=True):
    """A dead worker's entries were moved to where others find them."""

    worker: str
    jobs: int


class GroupsRestored(Event, frozen=True):
    """A worker found consumer groups of a queue destroyed, and made them again.

    Entries that still stand are delivered again. Jobs whose entries went along are lost: their
    records stay without an end. Where the leases are gone as well, ``WorkerFenced`` tells instead.
    """

    worker: str


class JobsPromoted(Event, frozen=True):
    """Due jobs were moved from the schedule to their streams."""

    count: int


class ScheduleTicked(Event, frozen=True):
    """A scheduler did a tick of a schedule; of all schedulers one only.

    Attributes:
        schedule: its name.
        tick_ms: the tick, ms since the epoch.
        at_ms: when it was done, by Redis' clock.
        said: ``ran``, ``passed`` (it was missed), ``overlapped`` (the run before goes on),
            ``taken`` (there is a job of its name) or ``locked`` (another job holds its unique key).
    """

    schedule: str
    tick_ms: int
    at_ms: int
    said: str


class LoopStalled(Event, frozen=True):
    """The event loop has not turned for ``seconds``; ``task`` is the task that blocks it, or ""."""

    task: str
    seconds: float


Observer = Callable[[Event], None]


SendResult = Literal["accepted", "duplicate", "rejected", "error"]
"""What became of a call: ``rejected`` for what it is (too large, a conflict, into a full queue),
``error`` where Redis did not take it or did not say."""


class Meter(Protocol):
    """Whoever counts what an app sends."""

    def sent(self, calls: Sequence[tuple[str, str, SendResult]], seconds: float) -> None:
        """One call or several together: queue, task and result of each, and what it took.

        From any thread; must not fail.
        """
        ...


class Observers:
    """Calls every observer with every event.

    Attributes:
        tracing: who follows the jobs of this app, if anybody does. On the class it is that of all
            apps which have none of their own: whoever works reads one attribute, and no more.
        meter: who counts what this app sends, if anybody does.
    """

    tracing: Tracing | None = None
    meter: Meter | None = None

    def __init__(self) -> None:
        self.all: list[Observer] = []
        """Looked at where there is no time for more: an event is built only if anyone listens."""
        self._overhear: list[Observer] = []

    def overhear(self, observer: Observer) -> None:
        """Call ``observer(event)`` with what is told anyway: for its sake no event of a job is."""
        self._overhear.append(observer)

    def leave(self, observer: Observer) -> None:
        """Call one that overhears no more."""
        self._overhear.remove(observer)

    def add(self, observer: Observer) -> None:
        """Call ``observer(event)`` from now on."""
        self.all.append(observer)

    def emit(self, event: Event) -> None:
        """Tell everyone; an observer's exception goes to the log and nowhere else."""
        for observer in (*self.all, *self._overhear):
            try:
                observer(event)
            except Exception:
                logger.exception("an observer failed on %s", type(event).__name__)
