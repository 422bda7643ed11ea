"""From an exception to an outcome, in two pure steps.

The first looks at the exception and can run in a child process; the second applies the policy.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rqueue.codec import describe, encode_error
from rqueue.job import AttemptError
from rqueue.outcome import (
    Bury,
    Cancel,
    DeadReason,
    Discard,
    Fail,
    Outcome,
    RetryAfter,
    Snooze,
    SnoozeFor,
    TryAgain,
)
from rqueue.redaction import Redact, unchanged
from rqueue.retry import Retry


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler raised, without the exception.

    Attributes:
        kind: an error, or one of the signals.
        error: the attempt as it will stand in the history.
        seconds: of ``Snooze`` and ``RetryAfter``.
        reason: of ``Discard``.
        may_retry: whether the policy retries this kind of exception.
    """

    kind: Literal["error", "snooze", "retry_after", "discard", "fail"]
    error: AttemptError
    seconds: float = 0
    reason: str = ""
    may_retry: bool = True


def inspect(
    error: BaseException, retry: Retry, *, attempt: int, worker: str, redact: Redact = unchanged
) -> Raised:
    """Step one: what kind of ending an exception asks for."""
    told = describe(error, attempt=attempt, worker=worker, redact=redact)
    match error:
        case Snooze():
            return Raised(kind="snooze", error=told, seconds=error.seconds)
        case RetryAfter():
            return Raised(kind="retry_after", error=told, seconds=error.seconds)
        case Discard():
            return Raised(kind="discard", error=told, reason=told.message)
        case Fail():
            return Raised(kind="fail", error=told)
        case _:
            return Raised(kind="error", error=told, may_retry=retry.allows(error))


def decide(
    raised: Raised, retry: Retry, *, attempt: int, age_s: float, left_s: float | None = None
) -> Outcome:
    """Step two: what becomes of the job.

    Args:
        raised: what the attempt raised.
        retry: the job's policy.
        attempt: the attempt that ended, from 1.
        age_s: seconds since the job was enqueued.
        left_s: seconds until its deadline; None = it has none.
    """
    if raised.kind == "discard":
        return Cancel(reason=raised.reason)
    error = encode_error(raised.error)
    if raised.kind == "fail":
        return Bury(reason=DeadReason.FAIL, error=error)
    is_snooze = raised.kind == "snooze"
    wait = raised.seconds if is_snooze else _wait(raised, retry, attempt, age_s)
    if not isinstance(wait, DeadReason) and left_s is not None and wait >= left_s:
        wait = DeadReason.DEADLINE
    if isinstance(wait, DeadReason):
        return Bury(reason=wait, error=error, attempted=not is_snooze)
    delay_ms = round(wait * 1000)
    return SnoozeFor(delay_ms=delay_ms) if is_snooze else TryAgain(delay_ms=delay_ms, error=error)


def _wait(raised: Raised, retry: Retry, attempt: int, age_s: float) -> float | DeadReason:
    if not raised.may_retry or attempt >= retry.max_attempts:
        return DeadReason.FAILED
    if raised.kind == "retry_after":
        return raised.seconds if retry.reaches(age_s + raised.seconds) else DeadReason.TOO_LATE
    wait = retry.wait(attempt, age_s)
    return DeadReason.TOO_LATE if wait is None else wait
