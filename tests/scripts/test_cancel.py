"""cancel: a job that waits ends now; one that runs is told to stop, and ends by its worker."""

from __future__ import annotations

import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import jobs
from rqueue.store.keys import GROUP, Field
from rqueue.store.scripts import CANCEL
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import ENDED, NOW, QueueState, entry, queued, record

CANCELLED = record("cancelled", finished=NOW, reason="no more", ttl=ENDED)


def test_a_job_that_waits_for_a_worker_ends_at_once(queue: Bench) -> None:
    queue.enqueue(new_job("j1", unique="user:7", max_crashes=7), new_job("j2"))

    assert queue.cancel("j1", "no more") == "cancelled"

    assert queue.state() == QueueState(
        records={"j1": CANCELLED | {"entry": "gone"}, "j2": queued("normal")},
        lanes={"normal": [entry("j2")]},
        meta={"enqueue": "2", "cancel": "1"},
    )


def test_a_job_that_waits_for_its_time_ends_at_once(queue: Bench) -> None:
    queue.enqueue(new_job("j1", unique="user:7", due="+5000"))

    assert queue.cancel("j1", "no more") == "cancelled"

    assert queue.state() == QueueState(
        records={"j1": CANCELLED | {"entry": "gone"}},
        meta={"enqueue": "1", "cancel": "1"},
    )


def test_a_job_that_waits_for_its_next_attempt_ends_at_once(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "retry", ms=5000, fields=(Field.ATTEMPTS, 1)))

    assert queue.cancel("j1", "no more") == "cancelled"

    assert queue.state() == QueueState(
        records={"j1": CANCELLED | {"entry": "gone", "attempts": "1"}},
        leases={"w1": 1},
        meta={"enqueue": "1", "retry": "1", "cancel": "1"},
    )


@pytest.mark.parametrize("lane", ["released", "suspect", "last"])
def test_a_job_in_an_inner_lane_ends_at_once(queue: Bench, lane: str) -> None:
    job = queue.taken(new_job("j1", max_crashes=2 if lane == "last" else 9))
    if lane == "released":
        queue.finish(ending(job, "release"))
    else:
        queue.fence("w1")
        queue.reap()
    assert list(queue.state().lanes) == [lane]

    assert queue.cancel("j1", "no more") == "cancelled"

    state = queue.state()
    assert state.lanes == {}
    assert state.records["j1"]["state"] == "cancelled"


def test_the_worker_of_a_job_that_runs_is_told_to_stop_it(queue: Bench) -> None:
    queue.taken(new_job("j1", unique="user:7"))
    before = queue.state()

    with queue.listening(queue.keys.control) as heard:
        assert queue.cancel("j1", "no more") == "requested"

    assert heard == [(queue.keys.control, "cancel j1")]
    after = queue.state()
    assert after.records["j1"] == before.records["j1"] | {"cancel": "1", "reason": "no more"}
    assert after.cancels == {"j1": "w1"}
    after.records["j1"] = before.records["j1"]
    after.cancels.clear()
    assert after == before


def test_asking_twice_is_the_same_as_once(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    queue.cancel("j1", "no more")
    before = queue.exact()

    assert queue.cancel("j1", "no more") == "requested"

    assert queue.exact() == before


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("complete", "succeeded"),
        ("bury", "dead"),
        ("cancel", "cancelled"),
        ("expire", "expired"),
    ],
)
def test_a_job_that_has_ended_stays_as_it_is(queue: Bench, verb: str, state: str) -> None:
    queue.finish(ending(queue.taken(new_job("j1")), verb))
    before = queue.exact()

    assert queue.cancel("j1", "no more") == state

    assert queue.exact() == before


def test_cancelling_a_waiting_job_twice_ends_it_once(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    queue.cancel("j1", "no more")
    before = queue.exact()

    assert queue.cancel("j1", "again", now=NOW + 5) == "cancelled"

    assert queue.exact() == before


def test_a_job_that_nobody_knows_is_missing(queue: Bench) -> None:
    assert queue.cancel("j1") == "missing"

    assert queue.exact() == QueueState()


def test_a_job_that_moved_between_the_two_steps_is_asked_for_again(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    flow = jobs.cancel(queue.keys, "j1", "no more", str(NOW))
    told = queue.step(next(flow))
    queue.finish(ending(job, "release"))
    before = queue.exact()

    script = flow.send(told)
    answer = queue.step(script)

    assert answer == "changed"
    assert queue.exact() == before
    read_again = flow.send(answer)
    assert queue.step(flow.send(queue.step(read_again))) == "cancelled"
    assert queue.state().lanes == {}


def test_a_lane_without_a_group_has_no_worker_to_tell(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    queue.register("w1")
    queue.client.xgroup_destroy(queue.keys.stream("normal"), GROUP)

    assert queue.cancel("j1") == "cancelled"

    assert queue.state().lanes == {}


@pytest.mark.parametrize("key", ["schedule", "meta", "waiters", "cancels"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    queue.enqueue(new_job("j1"))
    queue.client.delete(getattr(queue.keys, key))
    queue.client.set(getattr(queue.keys, key), "of a wrong type")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        queue.cancel("j1")

    assert queue.exact() == before


def test_a_stream_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    queue.client.set(queue.keys.stream("normal"), "not a stream")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        queue.cancel("j1")

    assert queue.exact() == before


def test_the_script_itself_refuses_a_record_of_a_wrong_type(queue: Bench) -> None:
    queue.client.set(queue.keys.job("j1"), "not a hash")
    flow = jobs.cancel(queue.keys, "j1", "", str(NOW))
    next(flow)
    call = flow.send([b"normal", b""])
    before = queue.exact()

    assert getattr(call, "script", None) is CANCEL
    with pytest.raises(CorruptKey):
        queue.step(call)

    assert queue.exact() == before
