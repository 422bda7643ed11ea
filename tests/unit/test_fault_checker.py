"""The checker tells a zombie that nothing could stop from one that should not have begun."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checker import Evidence, Violation, i9_tokens_grow_and_no_entry_runs_twice
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
