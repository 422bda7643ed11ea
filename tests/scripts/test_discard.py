"""discard: dead jobs are forgotten for good."""

from __future__ import annotations

import pytest

from rqueue.store.calls import queues
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry


def discard(queue: Bench, *ids: str, before: str = "") -> list[str]:
    return queue.send(queues.discard(queue.keys, ids, before))


def bury(queue: Bench, *names: str) -> None:
    queue.taken(*(new_job(name) for name in names))
    for n, job in enumerate(queue.held("w1")):
        queue.finish(ending(job, "bury", detail="failed"), now=NOW + n)


def test_nothing_of_a_discarded_job_is_left(queue: Bench) -> None:
    bury(queue, "j1")

    assert discard(queue, "j1") == ["discarded"]

    assert queue.state() == QueueState(
        leases={"w1": 1}, meta={"enqueue": "1", "bury": "1", "discard": "1"}
    )


def test_a_job_is_discarded_once(queue: Bench) -> None:
    bury(queue, "j1")
    discard(queue, "j1")
    before = queue.exact()

    assert discard(queue, "j1", "j1") == ["missing", "missing"]

    assert queue.exact() == before


def test_only_jobs_that_died_before_a_time_are_discarded(queue: Bench) -> None:
    bury(queue, "j0", "j1", "j2")

    assert discard(queue, "j0", "j1", "j2", before=str(NOW + 1)) == [
        "discarded",
        "missing",
        "missing",
    ]

    assert queue.state().dead == {"j1": NOW + 1, "j2": NOW + 2}


@pytest.mark.parametrize("verb", ["complete", "cancel", "expire"])
def test_only_the_dead_are_discarded(queue: Bench, verb: str) -> None:
    queue.finish(ending(queue.taken(new_job("j1")), verb))
    queue.enqueue(new_job("j2"), new_job("j3", due="+5000"))
    before = queue.exact()

    assert discard(queue, "j1", "j2", "j3", "nobody") == ["missing"] * 4

    assert queue.exact() == before


def test_a_job_with_a_new_life_keeps_its_record(queue: Bench) -> None:
    bury(queue, "j1")
    queue.run(queues.requeue(queue.keys, ["j1"]))
    queue.client.zadd(queue.keys.dead, {"j1": NOW})

    assert discard(queue, "j1") == ["discarded"]

    state = queue.state()
    assert state.lanes == {"normal": [entry("j1", token=2)]}
    assert state.records["j1"]["state"] == "queued"
    assert state.dead == {}


def test_each_job_is_answered_on_its_own(queue: Bench) -> None:
    bury(queue, "j1", "j2")
    queue.client.set(queue.keys.job("j1"), "not a hash")

    assert discard(queue, "j1", "j2") == ["corrupt", "discarded"]

    state = queue.state()
    assert state.dead == {"j1": NOW}
    assert list(state.strange) == ["job:j1"]


def test_a_letter_whose_record_is_gone_is_discarded(queue: Bench) -> None:
    bury(queue, "j1")
    queue.client.delete(queue.keys.job("j1"))

    assert discard(queue, "j1") == ["discarded"]

    assert queue.state().dead == {}


@pytest.mark.parametrize("key", ["dead", "meta"])
def test_every_job_of_a_batch_is_answered_when_the_queue_is_corrupt(queue: Bench, key: str) -> None:
    bury(queue, "j1", "j2")
    queue.client.set(getattr(queue.keys, key), "of a wrong type")
    before = queue.exact()

    assert discard(queue, "j1", "j2") == ["corrupt", "corrupt"]

    assert queue.exact() == before


def test_the_oldest_letters_are_found_by_their_age(queue: Bench) -> None:
    bury(queue, "j0", "j1", "j2")

    assert queue.send(queues.dead_before(queue.keys, NOW + 2, 9)) == ["j0", "j1"]
    assert queue.send(queues.dead_before(queue.keys, NOW + 2, 1)) == ["j0"]
    assert queue.send(queues.dead(queue.keys, 0, 2)) == [("j2", NOW + 2), ("j1", NOW + 1)]
