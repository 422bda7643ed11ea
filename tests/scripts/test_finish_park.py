"""finish, park: a worker does not know the task; the job waits for one that does."""

from __future__ import annotations

from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, record


def park(queue: Bench, worker: str = "w1") -> list[str] | str:
    (job,) = queue.held(worker) or queue.fetch(worker)
    words = (Field.ERROR + "1", b"who?")
    return queue.finish(ending(job, "park", ms=5000, detail="2", fields=words), worker=worker)


def test_a_parked_job_waits_and_counts_how_often(queue: Bench) -> None:
    queue.taken(new_job("j1"))

    assert park(queue) == ["recorded"]

    assert queue.state() == QueueState(
        records={
            "j1": record(
                "scheduled",
                entry="gone",
                envelope="call",
                priority="normal",
                token=1,
                parked=1,
                error_1="who?",
            )
        },
        schedule={"j1": NOW + 5000},
        leases={"w1": 1},
        meta={"enqueue": "1", "park": "1"},
    )


def test_a_job_that_was_parked_as_often_as_allowed_is_dead(queue: Bench) -> None:
    queue.taken(new_job("j1", unique="user:7"))
    for _ in range(2):
        assert park(queue) == ["recorded"]
        queue.promote("j1", now=NOW + 5000)
    (job,) = queue.fetch()

    answers = queue.finish(ending(job, "park", ms=5000, detail="2", unique="user:7"))

    assert answers == ["bury"]
    assert queue.state() == QueueState(
        records={
            "j1": record(
                "dead",
                entry="gone",
                reason="unknown_task",
                envelope="call",
                priority="normal",
                token=3,
                finished=NOW,
                unique="user:7",
                error_1="who?",
            )
        },
        dead={"j1": NOW},
        leases={"w1": 1},
        meta={"enqueue": "1", "park": "2", "promote": "2", "bury": "1"},
    )


def test_a_job_dies_of_the_reason_that_its_worker_gave_for_parking_it(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    for _ in range(2):
        assert park(queue) == ["recorded"]
        queue.promote("j1", now=NOW + 5000)
    (job,) = queue.fetch()

    assert queue.finish(ending(job, "park", ms=5000, detail="2 newer_version")) == ["bury"]

    died = queue.state().records["j1"]
    assert died == record(
        "dead",
        entry="gone",
        reason="newer_version",
        envelope="call",
        priority="normal",
        token=3,
        finished=NOW,
        error_1="who?",
    )


def test_a_parking_repeated_after_a_lost_answer_is_not_counted_again(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    parking = ending(job, "park", ms=5000, detail="2")
    queue.finish(parking)
    before = queue.exact()

    assert queue.finish(parking) == ["already"]

    assert queue.exact() == before


def test_a_job_that_a_worker_of_the_right_kind_takes_is_not_hurt_by_its_parking(
    queue: Bench,
) -> None:
    queue.taken(new_job("j1"))
    park(queue)
    queue.promote("j1", now=NOW + 5000)
    (job,) = queue.fetch()

    assert queue.finish(ending(job, "complete")) == ["recorded"]

    assert queue.state().records["j1"] == record(
        "succeeded", entry="gone", finished=NOW, error_1="who?", ttl=60
    )


def test_a_job_that_ran_meanwhile_may_be_parked_as_often_as_a_new_one(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    park(queue)
    queue.promote("j1", now=NOW + 5000)
    (job,) = queue.fetch()

    assert queue.finish(ending(job, "snooze", ms=5000)) == ["recorded"]

    assert queue.state().records["j1"] == record(
        "scheduled",
        entry="gone",
        envelope="call",
        priority="normal",
        token=2,
        error_1="who?",
    )
