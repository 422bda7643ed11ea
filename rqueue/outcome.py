"""How an attempt ended: decided by the executor, written by the finisher.

The four signals at the end are what a task raises to choose an ending itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from rqueue.errors import ConfigError

_LONGEST_SECONDS = 10 * 366 * 24 * 3600


class DeadReason(StrEnum):
    """Why a job rests in the dead set."""

    FAILED = "failed"
    """Out of attempts, or its exception is never retried."""
    TOO_LATE = "too_late"
    """It failed, and its next attempt would begin later than ``Retry(until=...)`` allows."""
    DEADLINE = "deadline"
    """Its ``deadline`` came before it succeeded."""
    FAIL = "fail"
    """The task raised ``Fail``."""
    CRASHED = "crashed"
    """Its worker died while it ran, ``max_crashes`` times."""
    ARGUMENTS = "arguments"
    """Its arguments do not fit the task's annotations."""
    RESULT = "result"
    """What the task returned does not fit its annotation, or cannot be encoded."""
    TOO_LARGE = "too_large"
    """Its envelope is larger than its worker's ``max_payload``; not decoded, kept as it came."""
    DECODE = "decode"
    """Its envelope is not one of ours; the raw bytes are kept."""
    SIGNATURE = "bad_signature"
    """Its call is not signed, or not with a key known here for this job; it was not decoded."""
    DECRYPT = "decrypt"
    """Its call is not encrypted, or not with a key known here for this job; it was not decoded."""
    UNKNOWN_TASK = "unknown_task"
    """No worker knew its task, or had keys for its call, after it was parked several times."""
    NEWER = "newer_version"
    """Its arguments are of a newer version than any worker's task; it was parked several times."""
    UPGRADE = "upgrade"
    """Its arguments are of an older version, and what should lift them failed."""
    ORPHAN = "orphan"
    """Its stream entry was ours, but its record was gone."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of the endings. ``verb`` is the word of the finish script."""

    verb: ClassVar[str]


class Complete(Outcome, frozen=True, gc=False):
    """It succeeded; ``result`` is the encoded return value."""

    verb = "complete"
    result: bytes


class TryAgain(Outcome, frozen=True):
    """It failed and runs again after ``delay_ms``; ``error`` is the encoded attempt error."""

    verb = "retry"
    delay_ms: int
    error: bytes


class Bury(Outcome, frozen=True):
    """It goes to the dead set; ``attempted`` tells whether the handler was started."""

    verb = "bury"
    reason: DeadReason
    error: bytes
    attempted: bool = True


class SnoozeFor(Outcome, frozen=True):
    """It runs again after ``delay_ms``; no attempt is charged."""

    verb = "snooze"
    delay_ms: int


class Park(Outcome, frozen=True):
    """Others may know its task; it waits ``delay_ms``, and is dead after ``limit`` times."""

    verb = "park"
    delay_ms: int
    limit: int
    error: bytes
    reason: DeadReason = DeadReason.UNKNOWN_TASK


class Release(Outcome, frozen=True):
    """It goes back at once, unrun or interrupted; no attempt is charged."""

    verb = "release"


class Cancel(Outcome, frozen=True):
    """It was cancelled by somebody, or discarded by its task."""

    verb = "cancel"
    reason: str = ""


class Expire(Outcome, frozen=True):
    """Its ``expires`` passed before it was started."""

    verb = "expire"


class Signal(Exception):
    """Base of what a task raises to choose its ending; not an error."""


class Snooze(Signal):
    """Run this job again in ``seconds``; no attempt is charged, nothing is logged as failed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = check_seconds(seconds, "Snooze")


class RetryAfter(Signal):
    """This attempt failed; run the next one in ``seconds`` instead of after the backoff.

    Raise it ``from`` the exception that tells why, so that the history shows it.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"retry after {seconds} s")
        self.seconds = check_seconds(seconds, "RetryAfter")


class Discard(Signal):
    """There is nothing to do any more: end the job as cancelled, with this reason."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Fail(Signal):
    """This job can never succeed: end it in the dead set now, whatever attempts are left."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def check_seconds(seconds: object, what: str) -> float:
    """Return a delay in seconds, or raise ``ConfigError`` (negative, NaN, over ten years)."""
    if (
        isinstance(seconds, int | float)
        and not isinstance(seconds, bool)
        and 0 <= seconds <= _LONGEST_SECONDS
    ):
        return float(seconds)
    message = f"{what}({seconds!r}): seconds must be a number from 0 to {_LONGEST_SECONDS}"
    raise ConfigError(message)
