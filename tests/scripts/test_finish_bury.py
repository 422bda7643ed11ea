"""finish, bury: a job rests among the dead letters."""

from __future__ import annotations

from rqueue.store.calls import jobs
from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, record


def test_a_buried_job_keeps_all_that_a_new_life_needs(queue: Bench) -> None:
    job = queue.taken(new_job("j1", priority="high", max_crashes=7))
    words = (Field.ERROR + "1", b"boom", Field.ATTEMPTS, 1)

    answers = queue.finish(ending(job, "bury", detail="failed", fields=words))

    assert answers == ["recorded"]
    assert queue.state() == QueueState(
        records={
            "j1": record(
                "dead",
                entry="gone",
                reason="failed",
                envelope="call",
                priority="high",
                max_crashes=7,
                token=1,
                finished=NOW,
                attempts=1,
                error_1="boom",
            )
        },
        dead={"j1": NOW},
        leases={"w1": 1},
        meta={"enqueue": "1", "bury": "1"},
    )


def test_a_burial_repeated_after_a_lost_answer_is_already_there(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "bury", detail="failed"))
    before = queue.exact()

    assert queue.finish(ending(job, "bury", detail="failed"), now=NOW + 5) == ["already"]

    assert queue.exact() == before


def test_a_dead_record_does_not_expire(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.client.pexpire(queue.keys.job("j1"), 60_000)

    queue.finish(ending(job, "bury", detail="failed"))

    assert "ttl" not in queue.state().records["j1"]


def test_a_dead_letter_tells_its_reason_and_its_last_error(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    words = (Field.ERROR + "1", b"boom", Field.ATTEMPTS, 1)
    queue.finish(ending(job, "bury", detail="failed", fields=words))

    told = queue.send(jobs.awaiting(queue.keys, "j1"))

    assert told == jobs.Ending("dead", None, "failed", b"boom")
