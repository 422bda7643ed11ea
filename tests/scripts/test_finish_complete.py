"""finish, complete: a job has succeeded."""

from __future__ import annotations

from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued, record


def test_a_completed_job_leaves_its_record_with_the_result(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    words = (Field.RESULT, b"42", Field.ATTEMPTS, 1, Field.WORKER, "w1")

    answers = queue.finish(ending(job, "complete", ms=60_000, fields=words), now=NOW + 9)

    assert answers == ["recorded"]
    assert queue.state() == QueueState(
        records={
            "j1": record(
                "succeeded",
                entry="gone",
                finished=NOW + 9,
                result=42,
                attempts=1,
                worker="w1",
                ttl=60,
            )
        },
        leases={"w1": 1},
        meta={"enqueue": "1", "complete": "1"},
    )


def test_a_completion_repeated_after_a_lost_answer_is_already_there(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    completion = ending(job, "complete", fields=(Field.RESULT, b"42"))
    queue.finish(completion)
    before = queue.exact()

    assert queue.finish(completion, now=NOW + 5) == ["already"]

    assert queue.exact() == before


def test_a_batch_is_settled_job_by_job(queue: Bench) -> None:
    first = queue.taken(new_job("j1"), new_job("j2"), new_job("j3"))
    second, third = queue.held("w1")[1:]
    queue.finish(ending(second, "complete"))
    queue.client.set(queue.keys.job("j3"), "not a hash")

    answers = queue.finish(*(ending(job, "complete") for job in (first, second, third)))

    assert answers == ["recorded", "already", "corrupt"]
    state = queue.state()
    assert state.lanes == {"normal": [entry("j3", "w1")]}
    assert {job_id: told["state"] for job_id, told in state.records.items()} == {
        "j1": "succeeded",
        "j2": "succeeded",
    }
    assert state.meta == {"enqueue": "3", "complete": "2"}


def test_each_job_of_a_batch_is_kept_for_its_own_time(queue: Bench) -> None:
    queue.taken(new_job("j1"), new_job("j2"), new_job("j3"))
    first, second, third = queue.held("w1")

    queue.finish(
        ending(first, "complete", ms=60_000),
        ending(second, "complete", ms=600_000),
        ending(third, "cancel", ms=60_000),
    )

    records = queue.state().records
    assert {name: told["ttl"] for name, told in records.items()} == {
        "j1": "60",
        "j2": "600",
        "j3": "60",
    }


def test_other_jobs_are_not_touched(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique="a"))
    queue.enqueue(new_job("j2", unique="b"), new_job("j3", due="+5000"))
    before = queue.state()

    queue.finish(ending(job, "complete", unique="a"))

    after = queue.state()
    assert after.lanes == {"normal": [entry("j2")]}
    assert after.records.pop("j1")["state"] == "succeeded"
    assert after.records == {name: before.records[name] for name in ("j2", "j3")}
    assert after.records["j2"] == queued("normal", unique="b")
    assert after.schedule == before.schedule
    assert after.unique == {"b": "j2"}


def test_one_batch_with_a_job_twice_records_it_once(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))

    answers = queue.finish(ending(job, "complete"), ending(job, "retry"))

    assert answers == ["recorded", "already"]
    assert queue.state().meta == {"enqueue": "1", "complete": "1"}
