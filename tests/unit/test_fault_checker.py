"""What looks like a broken promise, and what is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import (
    i2_every_end_was_counted_once,
    i4_a_job_runs_again_for_a_reason_only,
    i9_tokens_grow_and_no_entry_runs_twice,
)
from tests.faults.evidence import Evidence, Violation
from tests.faults.fences import i17_no_healthy_worker_was_fenced
from tests.faults.run import Outcome, run
from tests.faults.scenario import Scenario
from tests.faults.stage import Stage
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


def ended(job: str, status: str = "recorded") -> dict[str, Any]:
    told = {"job": job, "worker": "w1-a", "attempt": 1, "ending": "complete", "status": status}
    return {"event": "JobFinished", "at": 2.0, "seconds": 0, **told}


@pytest.mark.parametrize(
    ("lines", "succeeded", "counted"),
    [
        ([ended("j1"), ended("j2"), ended("j2")], ("j1", "j2"), 3),
        ([ended("j1"), ended("j2", "already")], ("j1", "j2"), 3),
        ([ended("j1"), ended("j2")], ("j1",), 2),
        ([ended("j1")], ("j1", "j2"), 1),
    ],
    ids=["told of twice", "asked for twice", "told of and not kept", "kept and told by nobody"],
)
def test_a_wrong_count_names_the_job_whose_answers_do_not_fit_its_record(
    lines: list[dict[str, Any]], succeeded: tuple[str, ...], counted: int
) -> None:
    state = QueueState(
        records={job: {"state": "succeeded"} for job in succeeded},
        meta={"complete": str(counted), "enqueue": str(len(succeeded))},
    )

    what = f"complete was counted {counted} times for {len(succeeded)} jobs"
    found = list(i2_every_end_was_counted_once(Evidence(lines, state, 2.0)))
    assert found == [Violation("I2", what, "j2")]


def test_a_job_that_was_enqueued_and_has_no_record_is_the_one_that_was_counted_too_often() -> None:
    lines = [
        {"event": "answered", "at": 1.0, "job": job, "status": "accepted"} for job in ("j1", "j2")
    ]
    state = QueueState(records={"j1": {"state": "queued"}}, meta={"enqueue": "2", "orphan": "1"})

    assert list(map(str, i2_every_end_was_counted_once(Evidence(lines, state, 2.0)))) == [
        "I2: enqueue was counted 2 times for 1 jobs (job j2)",
        "I2: orphan was counted 1 times for 0 jobs (job j2)",
    ]


def accept(stage: Stage, *jobs: str) -> None:
    for job in jobs:
        stage.history.write("asked", job=job, task="work", options={})
        stage.history.write("answered", job=job, status="accepted", holder=job)


def wait_in_vain(stage: Stage) -> None:
    accept(stage, "j1", "j2", "j3", "j4", "j5")
    stage.history.write("JobFinished", job="j2", ending="complete", status="recorded")
    stage.history.write("begin", job="j3", worker="w1-a", attempt=1, token=1)
    stage.until(lambda: False, seconds=0)


def end_with_an_error(stage: Stage) -> None:
    accept(stage, "j1", "j3", "j4", "j5")
    stage.history.write("begin", job="j3", worker="w1-a", attempt=1, token=1)
    stage.history.write("answered", job="j6", status="locked", holder="j1")
    raise ConnectionResetError("the server is gone")


@pytest.mark.parametrize("play", [wait_in_vain, end_with_an_error])
def test_what_fails_in_a_scenario_is_told_with_the_seed_and_what_has_not_ended(
    play: Any, tmp_path: Path
) -> None:
    scenario = Scenario("F99", play, "Nothing ends.", ("valkey9",), {})

    with pytest.raises((AssertionError, ConnectionResetError)) as failed:
        run(scenario, "valkey9", 4711, tmp_path)

    (note,) = failed.value.__notes__
    assert note.startswith("F99 on valkey9, seed 4711: 4 jobs have not ended\n  job j1\n")
    assert [line for line in note.splitlines() if line.startswith("  job")] == [
        "  job j1",
        "  job j3",
        "  job j4",
    ]
    assert "event=begin worker=w1-a attempt=1 token=1" in note


def test_a_broken_promise_is_told_with_the_seed_the_job_and_its_history() -> None:
    lines = [{"event": "answered", "at": 1.0, "job": "j1", "status": "accepted"}]
    evidence = Evidence(lines, QueueState(records={"j1": {"state": "queued"}}), 2.0)
    broken = Violation("I1", "accepted, and now queued", "j1")

    told = str(Outcome("F99", "valkey9", 4711, [broken], {}, [evidence.story("j1")]))

    assert told == (
        "F99 on valkey9, seed 4711:\n"
        "  I1: accepted, and now queued (job j1)\n"
        "  job j1\n"
        "     0.000 s  event=answered status=accepted\n"
        "  record: {'state': 'queued'}"
    )
