"""Decision: what becomes of a job after its handler raised."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.codec import decode_error
from rqueue.errors import ConfigError
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
from rqueue.retry import Retry
from rqueue.worker.decision import decide, inspect

NO_WAIT = Retry(max_attempts=3, base=0)


def ending(error: BaseException, retry: Retry = NO_WAIT, attempt: int = 1, **ages: Any) -> Outcome:
    raised = inspect(error, retry, attempt=attempt, worker="w1")
    return decide(raised, retry, attempt=attempt, **{"age_s": 0, **ages})


def history(outcome: Outcome) -> tuple[int, str, str, str]:
    assert isinstance(outcome, Bury | TryAgain)
    told = decode_error(outcome.error)
    return told.attempt, told.type, told.message, told.worker


def test_an_exception_is_tried_again_and_told() -> None:
    outcome = ending(ValueError("no"), attempt=2)

    assert isinstance(outcome, TryAgain)
    assert outcome.delay_ms == 0
    assert history(outcome) == (2, "ValueError", "no", "w1")


def test_an_exception_in_the_last_attempt_buries() -> None:
    outcome = ending(ValueError("no"), attempt=3)

    assert isinstance(outcome, Bury)
    assert (outcome.reason, outcome.attempted) == (DeadReason.FAILED, True)
    assert history(outcome) == (3, "ValueError", "no", "w1")


def test_an_exception_that_is_never_retried_buries_at_once() -> None:
    outcome = ending(KeyError("k"), Retry(never=(LookupError,)))

    assert isinstance(outcome, Bury)
    assert outcome.reason == DeadReason.FAILED


def test_an_exception_when_it_is_too_late_for_another_attempt_buries() -> None:
    outcome = ending(ValueError("no"), Retry(until=60, base=0), age_s=61)

    assert isinstance(outcome, Bury)
    assert (outcome.reason, outcome.attempted) == (DeadReason.TOO_LATE, True)
    assert history(outcome)[1:3] == ("ValueError", "no")


def test_who_is_out_of_attempts_is_not_said_to_be_too_late() -> None:
    outcome = ending(ValueError(), Retry(max_attempts=1, until=60), age_s=61, left_s=-1)

    assert isinstance(outcome, Bury)
    assert outcome.reason == DeadReason.FAILED


@pytest.mark.parametrize(
    ("error", "left_s", "expected"),
    [
        (ValueError(), 0.001, TryAgain),
        (ValueError(), 0, Bury),
        (ValueError(), -5, Bury),
        (RetryAfter(30), 30.1, TryAgain),
        (RetryAfter(30), 30, Bury),
        (Snooze(30), 30.1, SnoozeFor),
        (Snooze(30), 30, Bury),
    ],
)
def test_no_attempt_is_planned_that_would_begin_after_the_deadline(
    error: BaseException, left_s: float, expected: type[Outcome]
) -> None:
    outcome = ending(error, left_s=left_s)

    assert type(outcome) is expected
    if isinstance(outcome, Bury):
        assert outcome.reason == DeadReason.DEADLINE
        # A snooze is no attempt, and is not charged as one.
        assert outcome.attempted == (not isinstance(error, Snooze))


def test_the_deadline_does_not_hinder_who_ends_by_himself() -> None:
    assert ending(Discard("gone"), left_s=-1) == Cancel(reason="gone")
    outcome = ending(Fail("no"), left_s=-1)
    assert isinstance(outcome, Bury)
    assert outcome.reason == DeadReason.FAIL


def test_snooze_waits_without_an_error() -> None:
    assert ending(Snooze(1.5), attempt=3) == SnoozeFor(delay_ms=1500)


def test_retry_after_replaces_the_backoff() -> None:
    outcome = ending(RetryAfter(30, "busy"))

    assert isinstance(outcome, TryAgain)
    assert outcome.delay_ms == 30_000
    assert history(outcome)[1:3] == ("rqueue.outcome.RetryAfter", "busy")


def test_retry_after_is_a_failed_attempt_like_any_other() -> None:
    assert isinstance(ending(RetryAfter(30), attempt=3), Bury)


def test_retry_after_does_not_reach_beyond_the_time_for_retries() -> None:
    retry = Retry(until=60, base=0)

    assert isinstance(ending(RetryAfter(10), retry, age_s=40), TryAgain)
    assert isinstance(ending(RetryAfter(30), retry, age_s=40), Bury)


def test_retry_after_does_not_depend_on_the_backoff_it_replaces() -> None:
    retry = Retry(until=60, base=600, cap=600)

    for _ in range(50):
        assert isinstance(ending(RetryAfter(1), retry, age_s=40), TryAgain)


def test_retry_after_shows_the_exception_it_came_from() -> None:
    with pytest.raises(RetryAfter) as raised:
        raise RetryAfter(1) from ConnectionError("refused")

    outcome = ending(raised.value)

    assert isinstance(outcome, TryAgain)
    assert "ConnectionError: refused" in decode_error(outcome.error).traceback


def test_discard_cancels_with_its_reason() -> None:
    assert ending(Discard("gone")) == Cancel(reason="gone")


def test_fail_buries_whatever_attempts_are_left() -> None:
    outcome = ending(Fail("no such user"))

    assert isinstance(outcome, Bury)
    assert outcome.reason == DeadReason.FAIL
    assert history(outcome) == (1, "rqueue.outcome.Fail", "no such user", "w1")


@pytest.mark.parametrize(
    "error",
    [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), BaseExceptionGroup("g", [ValueError()])],
)
def test_what_ends_processes_elsewhere_is_a_failure_here(error: BaseException) -> None:
    assert isinstance(ending(error), TryAgain)


@pytest.mark.parametrize("signal", [Snooze, RetryAfter])
@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "1", None, 1e12])
def test_a_signal_without_a_sensible_time_is_refused(signal: Any, seconds: Any) -> None:
    with pytest.raises(ConfigError, match="seconds must be a number"):
        signal(seconds)
