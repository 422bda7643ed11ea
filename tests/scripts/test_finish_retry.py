"""finish, retry and snooze: a job waits in the schedule for its next attempt."""

from __future__ import annotations

import pytest

from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import DAY, NOW, QueueState, entry, queued, record

WAITING = pytest.mark.parametrize(
    ("verb", "state"), [("retry", "retrying"), ("snooze", "scheduled")]
)


@WAITING
def test_a_job_that_waits_keeps_in_its_record_what_travels_with_it(
    queue: Bench, verb: str, state: str
) -> None:
    job = queue.taken(new_job("j1", priority="high", max_crashes=7))
    words = (Field.ERROR + "1", b"boom", Field.ATTEMPTS, 1)

    assert queue.finish(ending(job, verb, ms=5000, fields=words)) == ["recorded"]

    assert queue.state() == QueueState(
        records={
            "j1": record(
                state,
                entry="gone",
                lane="high",
                envelope="call",
                priority="high",
                token=1,
                max_crashes=7,
                attempts=1,
                error_1="boom",
            )
        },
        schedule={"j1": NOW + 5000},
        leases={"w1": 1},
        meta={"enqueue": "1", verb: "1"},
    )


@WAITING
def test_a_wait_repeated_after_a_lost_answer_is_already_there(
    queue: Bench, verb: str, state: str
) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, verb, ms=5000))
    before = queue.exact()

    assert queue.finish(ending(job, verb, ms=5000), now=NOW + 1000) == ["already"]

    assert queue.exact() == before


@WAITING
def test_a_wait_repeated_after_the_next_attempt_began_changes_nothing(
    queue: Bench, verb: str, state: str
) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, verb, ms=0))
    queue.promote("j1")
    queue.fetch()
    before = queue.exact()

    assert queue.finish(ending(job, verb, ms=0)) == ["lost"]
    assert queue.finish(ending(job, "complete")) == ["lost"]

    assert queue.exact() == before


@WAITING
def test_the_next_attempt_has_a_larger_token_and_the_attempts_charged(
    queue: Bench, verb: str, state: str
) -> None:
    job = queue.taken(new_job("j1", max_crashes=7))
    queue.finish(ending(job, verb, ms=0, fields=(Field.ATTEMPTS, 1)))

    assert queue.promote("j1") == ["promoted"]

    assert queue.state().lanes == {"normal": [entry("j1", token=2, attempts=1, max_crashes=7)]}


@WAITING
def test_a_suspect_that_waits_keeps_its_crashes(queue: Bench, verb: str, state: str) -> None:
    job = queue.taken(new_job("j1", priority="low"))
    queue.fence("w1")
    queue.reap("w1", "low")
    queue.register("w2")
    (job,) = queue.fetch("w2")

    queue.finish(ending(job, verb, ms=5000), worker="w2")
    queue.promote("j1", now=NOW + 5000)

    state_now = queue.state()
    assert state_now.records["j1"] == queued("suspect", crashes=1, error_c1="worker died")
    assert state_now.lanes == {
        "suspect": [entry("j1", token=3, priority="low", crashes=1, crashed_at=NOW)]
    }


@WAITING
def test_crashes_are_forgotten_after_a_day_of_waiting(queue: Bench, verb: str, state: str) -> None:
    queue.taken(new_job("j1", priority="low"))
    queue.fence("w1")
    queue.reap("w1", "low")
    queue.register("w2")
    (job,) = queue.fetch("w2")

    queue.finish(ending(job, verb, ms=5000), worker="w2")
    queue.promote("j1", now=NOW + DAY + 1)

    assert queue.state().lanes == {"low": [entry("j1", token=3)]}


@WAITING
def test_a_unique_key_is_held_while_its_job_waits(queue: Bench, verb: str, state: str) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))

    queue.finish(ending(job, verb, unique="user:7"))

    assert queue.state().unique == {"user:7": "j1"}
    assert queue.enqueue(new_job("j2", unique="user:7")) == ["locked"]


@WAITING
def test_the_scheduler_is_woken_if_the_job_is_the_earliest(
    queue: Bench, verb: str, state: str
) -> None:
    first = queue.taken(new_job("j1"), new_job("j2"), new_job("j3", due="+5000"))
    second = queue.held("w1")[1]

    with queue.listening(queue.keys.wake) as heard:
        queue.finish(ending(first, verb, ms=6000), ending(second, verb, ms=4000))

    assert heard == [(queue.keys.wake, str(NOW + 4000))]


@WAITING
def test_a_cancel_that_was_asked_for_ends_the_job_instead(
    queue: Bench, verb: str, state: str
) -> None:
    job = queue.taken(new_job("j1"))
    queue.cancel("j1", "no more")

    assert queue.finish(ending(job, verb, ms=5000)) == ["cancel"]

    assert queue.state() == QueueState(
        records={"j1": record("cancelled", entry="gone", reason="no more", finished=NOW, ttl=3600)},
        leases={"w1": 1},
        meta={"enqueue": "1", "cancel": "1"},
    )
