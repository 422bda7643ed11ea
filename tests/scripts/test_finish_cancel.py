"""finish, cancel and expire: a job ends without success, and is not mourned."""

from __future__ import annotations

import pytest

from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, record


def test_a_job_discarded_by_its_task_is_cancelled_with_its_reason(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))

    assert queue.finish(ending(job, "cancel", detail="nothing to do")) == ["recorded"]

    assert queue.state() == QueueState(
        records={
            "j1": record("cancelled", entry="gone", reason="nothing to do", finished=NOW, ttl=60)
        },
        leases={"w1": 1},
        meta={"enqueue": "1", "cancel": "1"},
    )


def test_a_job_whose_deadline_passed_is_expired(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))

    assert queue.finish(ending(job, "expire")) == ["recorded"]

    assert queue.state() == QueueState(
        records={"j1": record("expired", entry="gone", finished=NOW, ttl=60)},
        leases={"w1": 1},
        meta={"enqueue": "1", "expire": "1"},
    )


@pytest.mark.parametrize("verb", ["cancel", "expire"])
def test_an_end_repeated_after_a_lost_answer_is_already_there(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, verb))
    before = queue.exact()

    assert queue.finish(ending(job, verb), now=NOW + 5) == ["already"]

    assert queue.exact() == before


def test_a_worker_that_was_told_to_stop_a_job_records_who_asked(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.cancel("j1", "the customer left")

    assert queue.finish(ending(job, "cancel")) == ["recorded"]

    state = queue.state()
    assert state.records == {
        "j1": record("cancelled", entry="gone", reason="the customer left", finished=NOW, ttl=60)
    }
    assert state.cancels == {}


@pytest.mark.parametrize(("verb", "state"), [("complete", "succeeded"), ("expire", "expired")])
def test_a_cancel_that_came_too_late_leaves_no_trace(queue: Bench, verb: str, state: str) -> None:
    job = queue.taken(new_job("j1"))
    queue.cancel("j1", "the customer left")

    assert queue.finish(ending(job, verb)) == ["recorded"]

    assert queue.state() == QueueState(
        records={"j1": record(state, entry="gone", finished=NOW, ttl=60)},
        leases={"w1": 1},
        meta={"enqueue": "1", verb: "1"},
    )


def test_a_burial_overrides_a_cancel_that_was_asked_for(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.cancel("j1", "the customer left")

    queue.finish(ending(job, "bury", detail="failed"))

    state = queue.state()
    assert state.records["j1"]["state"] == "dead"
    assert state.records["j1"]["reason"] == "failed"
    assert "cancel" not in state.records["j1"]
    assert state.cancels == {}
