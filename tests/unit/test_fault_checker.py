"""What looks like a broken promise, and what is one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checker import (
    i4_a_job_runs_again_for_a_reason_only,
    i9_tokens_grow_and_no_entry_runs_twice,
)
from tests.faults.evidence import Evidence, Violation
from tests.faults.fences import i17_no_healthy_worker_was_fenced
from tests.support.queue_state import QueueState

FROZEN, THAWED, BEGUN = 10.0, 15.0, 15.1


def history(took_up: float, **attempts: int) -> list[dict[str, Any]]:
    """A job that ran elsewhere while its first worker stood still, and then began there too."""
    tried = {"attempt": 1} | attempts
    zombie = {"job": "j1", "worker": "w1-abc"}
    return [
        {"event": "frozen", "at": FROZEN, "name": "w1"},
        {"event": "begin", "at": 12.0, "job": "j1", "worker": "w2-def", "attempt": 1, "token": 2},
        {"event": "thawed", "at": THAWED, "name": "w1"},
        {"event": "JobStarted", "at": BEGUN, **zombie, **tried},
        {"event": "begin", "at": BEGUN, **zombie, "attempt": 1, "token": 1},
        {"event": "JobFinished", "at": 16.0, "seconds": 16.0 - took_up, **zombie, **tried},
    ]


def told(lines: list[dict[str, Any]]) -> list[Violation]:
    return list(i9_tokens_grow_and_no_entry_runs_twice(Evidence(lines, QueueState(), 2.0)))


def test_a_worker_frozen_at_the_door_goes_on_when_it_wakes() -> None:
    assert told(history(took_up=FROZEN + 0.001)) == []


@pytest.mark.parametrize("lines", [history(took_up=15.05), history(took_up=9.0, attempt=2)])
def test_a_zombie_that_takes_a_job_up_is_told_of(lines: list[dict[str, Any]]) -> None:
    assert told(lines) == [Violation("I9", "runs began with the tokens [2, 1]", "j1")]


def twice(*more: dict[str, Any], **fields: str) -> list[Violation]:
    """What is told of a job that began twice."""
    begins = [
        {"event": "begin", "at": at, "job": "j1", "worker": f"{name}-abc", "token": token}
        for at, name, token in ((1.0, "w1", 1), (2.0, "w2", 2))
    ]
    state = QueueState(records={"j1": {"state": "succeeded"} | fields})
    return list(i4_a_job_runs_again_for_a_reason_only(Evidence([*begins, *more], state, 2.0)))


def test_a_job_that_ran_twice_for_nothing_is_told_of() -> None:
    assert twice() == [Violation("I4", "ran 2 times, of which 1 had a reason", "j1")]


@pytest.mark.parametrize(
    "reason",
    [
        {"event": "raise", "at": 1.5, "job": "j1"},
        {"event": "killed", "at": 1.5, "name": "w1"},
        {"event": "JobFinished", "at": 1.5, "job": "j1", "ending": "release", "status": "recorded"},
        {"event": "JobFinished", "at": 1.5, "job": "j1", "ending": "snooze", "status": "recorded"},
    ],
    ids=["it failed", "its worker died", "it was given back", "it asked for later"],
)
def test_a_job_runs_again_for_a_reason(reason: dict[str, Any]) -> None:
    assert twice(reason) == []


def test_a_job_runs_again_after_a_charged_crash() -> None:
    assert twice(error_c1="worker died") == []


@pytest.mark.parametrize("harm", ["killed", "frozen"])
def test_a_worker_that_was_fenced_before_it_was_harmed_was_healthy(harm: str) -> None:
    fenced = {"event": "WorkerFenced", "at": 5.0, "worker": "w1-abc"}

    def told_of(at: float) -> list[Violation]:
        lines = sorted([{"event": harm, "at": at, "name": "w1"}, fenced], key=lambda one: one["at"])
        return list(i17_no_healthy_worker_was_fenced(Evidence(lines, QueueState(), 2.0)))

    assert told_of(4.0) == []
    assert told_of(6.0) == [Violation("I17", "w1-abc was fenced and had no fault")]
