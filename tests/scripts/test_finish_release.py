"""finish, release: a job goes back at once, no attempt charged."""

from __future__ import annotations

from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued, record


def test_a_released_job_goes_ahead_of_the_priorities(queue: Bench) -> None:
    job = queue.taken(new_job("j1", priority="low", max_crashes=7))

    assert queue.finish(ending(job, "release")) == ["recorded"]

    assert queue.state() == QueueState(
        records={"j1": queued("released", max_crashes=7)},
        lanes={"released": [entry("j1", token=2, priority="low", max_crashes=7)]},
        leases={"w1": 1},
        meta={"enqueue": "1", "release": "1"},
    )


def test_a_release_repeated_after_a_lost_answer_changes_nothing(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "release"))
    before = queue.exact()

    assert queue.finish(ending(job, "release")) == ["lost"]

    assert queue.exact() == before


def test_a_job_released_twice_keeps_its_priority_and_attempts(queue: Bench) -> None:
    job = queue.taken(new_job("j1", priority="high"))
    queue.finish(ending(job, "retry", ms=0, fields=(Field.ATTEMPTS, 3)))
    queue.promote("j1")
    for _ in range(2):
        queue.finish(*(ending(job, "release") for job in queue.fetch()))

    assert queue.state().lanes == {"released": [entry("j1", token=4, priority="high", attempts=3)]}


def test_a_released_suspect_goes_back_among_the_suspects_without_another_crash(
    queue: Bench,
) -> None:
    queue.taken(new_job("j1", priority="low"))
    queue.fence("w1")
    queue.reap("w1", "low")
    queue.register("w2")
    (job,) = queue.fetch("w2")

    queue.finish(ending(job, "release"), worker="w2")

    state = queue.state()
    assert state.records == {"j1": queued("suspect", crashes=1, error_c1="worker died")}
    assert state.lanes == {
        "suspect": [entry("j1", token=3, priority="low", crashes=1, crashed_at=NOW)]
    }


def test_a_released_job_one_crash_from_the_cap_stays_in_the_last_lane(queue: Bench) -> None:
    queue.taken(new_job("j1", max_crashes=2))
    queue.fence("w1")
    queue.reap("w1", "normal")
    queue.register("w2")
    (job,) = queue.fetch("w2")

    queue.finish(ending(job, "release"), worker="w2")

    assert queue.state().lanes == {
        "last": [entry("j1", token=3, priority="normal", crashes=1, crashed_at=NOW, max_crashes=2)]
    }


def test_a_unique_key_is_held_by_a_released_job(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))

    queue.finish(ending(job, "release", unique="user:7"))

    assert queue.state().unique == {"user:7": "j1"}


def test_a_cancel_that_was_asked_for_ends_a_released_job(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    queue.cancel("j1", "no more")

    assert queue.finish(ending(job, "release", unique="user:7")) == ["cancel"]

    assert queue.state() == QueueState(
        records={"j1": record("cancelled", entry="gone", reason="no more", finished=NOW, ttl=3600)},
        leases={"w1": 1},
        meta={"enqueue": "1", "cancel": "1"},
    )
