"""requeue: dead jobs get a new life: attempts and crashes are forgotten, the history is kept."""

from __future__ import annotations

import pytest

from rqueue import inspection
from rqueue.inspection import Requeued
from rqueue.store.call import Call
from rqueue.store.calls import jobs, queues
from rqueue.store.keys import Field
from rqueue.store.scripts import REQUEUE
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued


def requeue(queue: Bench, *ids: str) -> list[str]:
    return queue.run(queues.requeue(queue.keys, ids))


def bury(queue: Bench, *names: str, **changes: object) -> None:
    queue.taken(*(new_job(name, **changes) for name in names))
    words = (Field.ATTEMPTS, 5, Field.ERROR + "5", b"boom", Field.BEGUN, NOW, Field.WORKER, "w1")
    for job in queue.held("w1"):
        queue.finish(ending(job, "bury", detail="failed", fields=words, unique="user:7"))


@pytest.mark.parametrize("priority", ["critical", "high", "normal", "low"])
def test_a_dead_job_stands_in_the_stream_of_its_priority_as_new(
    queue: Bench, priority: str
) -> None:
    bury(queue, "j1", priority=priority, max_crashes=7)

    assert requeue(queue, "j1") == ["requeued"]

    assert queue.state() == QueueState(
        records={"j1": queued(priority, priority=priority, max_crashes=7, **{"error_1.5": "boom"})},
        lanes={priority: [entry("j1", token=2, max_crashes=7)]},
        leases={"w1": 1},
        meta={"enqueue": "1", "bury": "1", "requeue": "1"},
    )


def test_a_job_is_requeued_once(queue: Bench) -> None:
    bury(queue, "j1")
    requeue(queue, "j1")
    before = queue.exact()

    assert requeue(queue, "j1", "j1") == ["missing", "missing"]

    assert queue.exact() == before


def test_the_token_grows_over_every_life(queue: Bench) -> None:
    bury(queue, "j1")
    for life in (2, 3, 4):
        requeue(queue, "j1")
        (job,) = queue.fetch()

        assert job.token == life
        queue.finish(ending(job, "bury", detail="failed"))


def test_a_job_that_crashed_to_death_starts_without_crashes(queue: Bench) -> None:
    queue.taken(new_job("j1", max_crashes=1, priority="low"))
    queue.fence("w1")
    assert queue.reap(lane="low") == ["dead"]

    requeue(queue, "j1")

    state = queue.state()
    assert state.lanes == {"low": [entry("j1", token=2, max_crashes=1)]}
    assert state.records == {
        "j1": queued("low", priority="low", max_crashes=1, **{"error_1.c1": "worker died"})
    }


def test_a_job_that_was_parked_to_death_may_be_parked_again(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "park", ms=0, detail="1"))
    queue.promote("j1")
    queue.finish(ending(queue.fetch()[0], "park", ms=0, detail="1"))
    assert queue.state().records["j1"]["reason"] == "unknown_task"

    requeue(queue, "j1")
    queue.finish(ending(queue.fetch()[0], "park", ms=0, detail="1"))

    assert queue.state().records["j1"]["state"] == "scheduled"


def test_a_requeued_job_can_succeed(queue: Bench) -> None:
    bury(queue, "j1")
    requeue(queue, "j1")

    queue.finish(ending(queue.fetch()[0], "complete", fields=(Field.RESULT, b"42")))

    assert queue.send(jobs.awaiting(queue.keys, "j1")).state == "succeeded"
    assert queue.state().dead == {}


@pytest.mark.parametrize("verb", ["complete", "cancel", "expire"])
def test_only_the_dead_are_requeued(queue: Bench, verb: str) -> None:
    queue.finish(ending(queue.taken(new_job("j1")), verb))
    queue.enqueue(new_job("j2"), new_job("j3", due="+5000"))
    before = queue.exact()

    assert requeue(queue, "j1", "j2", "j3", "nobody") == ["missing"] * 4

    assert queue.exact() == before


def test_each_job_is_answered_on_its_own(queue: Bench) -> None:
    bury(queue, "j1", "j2", "j3", "j4")
    queue.client.set(queue.keys.job("j2"), "not a hash")
    queue.client.hdel(queue.keys.job("j3"), Field.ENVELOPE)

    assert requeue(queue, "j1", "j2", "j3", "j4") == [
        "requeued",
        "corrupt",
        "missing",
        "requeued",
    ]

    state = queue.state()
    assert state.lanes == {"normal": [entry("j1", token=2), entry("j4", token=2)]}
    assert sorted(state.dead) == ["j2", "j3"]


def test_a_stream_of_a_wrong_type_leaves_the_job_dead(queue: Bench) -> None:
    bury(queue, "j1")
    queue.client.set(queue.keys.stream("normal"), "not a stream")
    before = queue.exact()

    assert requeue(queue, "j1") == ["corrupt"]

    assert queue.exact() == before


@pytest.mark.parametrize("key", ["dead", "meta"])
def test_every_job_of_a_batch_is_answered_when_the_queue_is_corrupt(queue: Bench, key: str) -> None:
    bury(queue, "j1", "j2")
    queue.client.set(getattr(queue.keys, key), "of a wrong type")
    before = queue.exact()

    assert requeue(queue, "j1", "j2") == ["corrupt", "corrupt"]

    assert queue.exact() == before


def test_all_are_asked_for_once_though_many_stay_dead(queue: Bench) -> None:
    names = [f"j{n}" for n in range(150)]
    queue.taken(*(new_job(name) for name in (*names, "free")))
    queue.finish(*(ending(job, "bury") for job in [*queue.held("w1"), *queue.fetch()]))
    for name in names:
        queue.note(name, Field.UNIQUE, "user:7")
    queue.enqueue(new_job("holder", unique="user:7"))

    told = queue.run(inspection.requeue(queue.keys.namespace, queue.keys.queue, None))

    assert told == Requeued(1, dict.fromkeys(names, "locked"))
    assert len(queue.state().dead) == 150


def test_what_dies_meanwhile_is_left_to_the_next_requeue(queue: Bench) -> None:
    bury(queue, "j1", "j2")
    flow = inspection.requeue(queue.keys.namespace, queue.keys.queue, None)
    step = next(flow)
    told = None
    while told is None:
        said = queue.step(step)
        if isinstance(step, Call) and step.script is REQUEUE:
            for job in queue.fetch():
                queue.finish(ending(job, "bury"))
        try:
            step = flow.send(said)
        except StopIteration as end:
            told = end.value

    assert told == Requeued(2, {})
    assert sorted(queue.state().dead) == ["j1", "j2"]


def test_each_of_some_is_told(queue: Bench) -> None:
    bury(queue, "j1")
    ids = ["j1", "nobody"]

    told = queue.run(inspection.requeue(queue.keys.namespace, queue.keys.queue, ids))

    assert told == Requeued(1, {"nobody": "missing"})


@pytest.mark.parametrize("act", ["requeue", "discard"])
def test_a_job_that_is_named_twice_counts_once(queue: Bench, act: str) -> None:
    bury(queue, "j1")
    flow = getattr(inspection, act)

    told = queue.run(flow(queue.keys.namespace, queue.keys.queue, ["j1", "j1"]))

    assert told == (Requeued(1, {}) if act == "requeue" else 1)
