"""An outcome as the finish script takes it: which fields the record shall hold, and how long."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from rqueue.config import CHOSEN_ID_WINDOW_MS, GENERATED_ID_WINDOW_MS
from rqueue.envelope import Envelope
from rqueue.ids import is_generated
from rqueue.job import Delivery
from rqueue.outcome import (
    Bury,
    Cancel,
    Complete,
    DeadReason,
    Expire,
    Outcome,
    Park,
    Release,
    SnoozeFor,
    TryAgain,
)
from rqueue.store.call import Arg
from rqueue.store.calls.entries import Settlement
from rqueue.store.calls.jobs import ENDED_KEEP_MS
from rqueue.store.keys import Field


class Ran(msgspec.Struct, kw_only=True, gc=False):
    """What is known of an attempt beside its outcome; grows while it goes on.

    Attributes:
        delivery: what was run.
        envelope: its envelope; None when it could not be read.
        begun_ms: when the handler began, ms since the epoch; 0 when it never did.
        result_ttl_s: how long the result is kept.
    """

    delivery: Delivery
    envelope: Envelope | None = None
    begun_ms: int = 0
    result_ttl_s: float = 0.0


def settlement(ran: Ran, outcome: Outcome) -> Settlement:
    """What the finish script is told."""
    if isinstance(outcome, Complete):
        return _completed(ran, outcome.result)
    ms, detail, fields, size = _told(ran, outcome)
    if not isinstance(outcome, Release):
        fields = (*_who(ran), *fields)
    return Settlement(
        delivery=ran.delivery,
        verb=outcome.verb,
        ms=ms,
        detail=detail,
        unique=ran.envelope.unique if ran.envelope is not None else "",
        fields=fields,
        size=size,
    )


def _completed(ran: Ran, result: bytes) -> Settlement:
    """The usual ending. That it took one attempt goes without saying."""
    job, fields = ran.delivery, _who(ran)
    ttl_ms, keep = _times(ran.result_ttl_s, has_generated_id=is_generated(job.job_id))
    if ttl_ms:
        fields += (Field.RESULT, result)
    if 0 < ttl_ms < keep:
        fields += (Field.RESULT_UNTIL, ttl_ms)
    if job.attempts:
        fields += _charged(job)
    return Settlement(
        delivery=job,
        verb=Complete.verb,
        ms=keep,
        unique=ran.envelope.unique if ran.envelope is not None else "",
        fields=fields,
        size=len(result),
    )


_Told = tuple[int, str, tuple[Arg, ...], int]
"""Milliseconds, detail, fields, and the bytes of the largest of them."""


def _told(ran: Ran, outcome: Outcome) -> _Told:
    job = ran.delivery
    match outcome:
        case Bury() | TryAgain() | Park():
            return _failed(job, outcome)
        case Cancel():
            return ENDED_KEEP_MS, outcome.reason, (), 0
        case Expire():
            return ENDED_KEEP_MS, "", (), 0
        case SnoozeFor():
            return outcome.delay_ms, "", (), 0
        case _:
            return 0, "", (), 0


def _failed(job: Delivery, outcome: Bury | TryAgain | Park) -> _Told:
    error, size = (f"{Field.ERROR}{job.attempts + 1}", outcome.error), len(outcome.error)
    match outcome:
        case TryAgain():
            return outcome.delay_ms, "", (*error, *_charged(job)), size
        case Park():
            return outcome.delay_ms, _patience(outcome), error, size
        case Bury():
            charged = _charged(job) if outcome.attempted else ()
            return 0, outcome.reason.value, (*error, *charged), size


def _patience(park: Park) -> str:
    """How often it is parked, and what it is dead of then; most tasks are unknown."""
    is_usual = park.reason is DeadReason.UNKNOWN_TASK
    return str(park.limit) if is_usual else f"{park.limit} {park.reason}"


def _charged(job: Delivery) -> tuple[Arg, ...]:
    return (Field.ATTEMPTS, job.attempts + 1)


def kept_ms(job_id: str, result_ttl_s: float) -> int:
    """How long a succeeded record stays: its result's time, at least the window of its id.

    Within the window the same id is still known, so that a late retry of the enqueue makes no
    second job.
    """
    return _times(result_ttl_s, has_generated_id=is_generated(job_id))[1]


@lru_cache(maxsize=256)
def _times(result_ttl_s: float, *, has_generated_id: bool) -> tuple[int, int]:
    """Milliseconds that a result counts, and that its record stays."""
    window = GENERATED_ID_WINDOW_MS if has_generated_id else CHOSEN_ID_WINDOW_MS
    ttl_ms = round(result_ttl_s * 1000)
    return ttl_ms, max(ttl_ms, window)


def _who(ran: Ran) -> tuple[Arg, ...]:
    if ran.envelope is None:
        return ()
    task = (Field.TASK, ran.envelope.task)
    return (
        (*task, Field.BEGUN, ran.begun_ms, Field.WORKER, ran.delivery.worker)
        if ran.begun_ms
        else task
    )
