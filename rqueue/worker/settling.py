"""An outcome as the finish script takes it: which fields the record shall hold, and how long."""

from __future__ import annotations

import msgspec

from rqueue.config import CHOSEN_ID_WINDOW_MS, GENERATED_ID_WINDOW_MS
from rqueue.envelope import Envelope
from rqueue.ids import is_generated
from rqueue.job import Delivery
from rqueue.outcome import (
    Bury,
    Cancel,
    Complete,
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


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an attempt beside its outcome.

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
    ms, detail, fields = _ended(ran, outcome) or _goes_on(ran.delivery, outcome)
    if not isinstance(outcome, Release):
        fields = [*_who(ran), *fields]
    return Settlement(
        delivery=ran.delivery,
        verb=outcome.verb,
        ms=ms,
        detail=detail,
        unique=ran.envelope.unique if ran.envelope is not None else "",
        fields=tuple(fields),
    )


_Told = tuple[int, str, list[Arg]]
"""Milliseconds, detail, fields."""


def _ended(ran: Ran, outcome: Outcome) -> _Told | None:
    match outcome:
        case Complete():
            ms, fields = _kept(ran, outcome.result)
            return ms, "", [*fields, *_charged(ran.delivery)]
        case Bury():
            fields = _failed(ran.delivery, outcome.error)
            charged = _charged(ran.delivery) if outcome.attempted else []
            return 0, outcome.reason.value, [*fields, *charged]
        case Cancel():
            return ENDED_KEEP_MS, outcome.reason, []
        case Expire():
            return ENDED_KEEP_MS, "", []
        case _:
            return None


def _goes_on(job: Delivery, outcome: Outcome) -> _Told:
    match outcome:
        case TryAgain():
            return outcome.delay_ms, "", [*_failed(job, outcome.error), *_charged(job)]
        case SnoozeFor():
            return outcome.delay_ms, "", []
        case Park():
            return outcome.delay_ms, str(outcome.limit), _failed(job, outcome.error)
        case _:
            return 0, "", []


def _charged(job: Delivery) -> list[Arg]:
    return [Field.ATTEMPTS, job.attempts + 1]


def _failed(job: Delivery, error: bytes) -> list[Arg]:
    return [f"{Field.ERROR}{job.attempts + 1}", error]


def kept_ms(job_id: str, result_ttl_s: float) -> int:
    """How long a succeeded record stays: its result's time, at least the window of its id.

    Within the window the same id is still known, so that a late retry of the enqueue makes no
    second job.
    """
    window = GENERATED_ID_WINDOW_MS if is_generated(job_id) else CHOSEN_ID_WINDOW_MS
    return max(round(result_ttl_s * 1000), window)


def _kept(ran: Ran, result: bytes) -> tuple[int, list[Arg]]:
    ttl_ms = round(ran.result_ttl_s * 1000)
    keep = kept_ms(ran.delivery.job_id, ran.result_ttl_s)
    if ttl_ms == 0:
        return keep, []
    if ttl_ms < keep:
        return keep, [Field.RESULT, result, Field.RESULT_UNTIL, ttl_ms]
    return keep, [Field.RESULT, result]


def _who(ran: Ran) -> list[Arg]:
    fields: list[Arg] = []
    if ran.envelope is not None:
        fields += [Field.TASK, ran.envelope.task]
    if ran.begun_ms:
        fields += [Field.BEGUN, ran.begun_ms, Field.WORKER, ran.delivery.worker]
    return fields
