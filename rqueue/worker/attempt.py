"""One delivery at work, and how it is stopped from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from rqueue.ids import lengthen
from rqueue.job import Delivery
from rqueue.outcome import Cancel, Outcome, Release
from rqueue.tracing import Processing
from rqueue.worker.lease import QueueLease
from rqueue.worker.prepared import Prepared

ATTEMPT = "rqueue-job"
"""How the asyncio tasks of attempts are named."""
Place = tuple[str, str, str]
"""Queue, lane, entry id."""


class Attempt:
    """One delivery at work.

    Attributes:
        delivery: what is run.
        lease: under which it was read.
        work: the asyncio task.
        is_stoppable: the handler runs; before and after, a cancellation would hit our own code.
        stopped_by: why it was stopped from outside: cancel, release or fenced; "" when it was not.
        prepared: what is run, once it is known.
        ask: how to ask a handler that cannot be cancelled (a thread) to stop by itself.
        go: set when it may begin, if it has to wait: a job of the lane ``last`` lets others end.
        place: where its entry stands.
        holds_slot: whether it takes one of the worker's slots.
        has_ended: Redis has answered its end.
        span: what traces it, if anything does.
        started: when it was begun, monotonic seconds; what it had to wait for here is before that.
    """

    __slots__ = (
        "ask",
        "delivery",
        "go",
        "has_ended",
        "holds_slot",
        "is_stoppable",
        "lease",
        "place",
        "prepared",
        "span",
        "started",
        "stopped_by",
        "work",
    )

    def __init__(self, delivery: Delivery, lease: QueueLease, *, holds_slot: bool) -> None:
        self.delivery = delivery
        self.lease = lease
        self.work: asyncio.Task[None] | None = None
        self.is_stoppable = False
        self.stopped_by = ""
        self.prepared: Prepared | None = None
        self.ask: Callable[[], None] | None = None
        self.go: asyncio.Event | None = None
        self.place: Place = (delivery.queue, delivery.lane, delivery.entry_id)
        self.holds_slot = holds_slot
        self.has_ended = False
        self.span: Processing | None = None
        self.started = 0.0

    @property
    def task(self) -> str:
        """Its task's name, once that is known."""
        return self.prepared.task.name if self.prepared is not None else ""

    def let_run(self, *, is_ours: bool) -> None:
        """Run it, if it was held; forget it if it is not ours any more."""
        if not is_ours:
            self.stop("fenced")
        if self.go is not None:
            self.go.set()

    def let_go(self) -> None:
        """Give it back if it is still held; if it runs or has ended it is left alone."""
        if self.go is not None and not self.go.is_set():
            self.stop("release")

    def stop(self, why: str) -> None:
        """Cancel the handler, if it runs; a thread is only asked, and its outcome waited for."""
        if not self.stopped_by:
            self.stopped_by = why
            if self.go is not None:
                self.go.set()
            self.lease.changed.set()
            if self.ask is not None and why == "cancel":
                self.ask()
            elif self.is_stoppable and self.work is not None:
                self.work.cancel()


def name_of(attempts: Iterable[Attempt], work: asyncio.Task[Any] | None) -> tuple[str, str]:
    """Task and job of an attempt, by its asyncio task; empty if it is none or unknown."""
    for attempt in attempts:
        if work is not None and attempt.work is work:
            return attempt.task, lengthen(attempt.delivery.job_id)
    return "", ""


def outcome_of_stop(attempt: Attempt) -> Outcome | None:
    """What becomes of an attempt that was stopped from outside; None = it is not ours any more."""
    if attempt.stopped_by == "cancel":
        return Cancel()
    return Release() if attempt.stopped_by == "release" else None
