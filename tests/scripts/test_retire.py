"""retire: a consumer without lease and without pending entries is forgotten."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from rqueue.store.calls import leases
from rqueue.store.keys import GROUP, LANES
from tests.support.bench import Bench, new_job
from tests.support.queue_state import entry


def retire(queue: Bench, worker: str = "w1") -> dict[str, str]:
    answers = [queue.send(call) for call in leases.retire(queue.keys, worker)]
    return dict(zip(LANES, answers, strict=True))


def test_a_consumer_with_nothing_pending_is_forgotten_in_every_lane(queue: Bench) -> None:
    queue.register("w1", "w2")
    for lane in LANES:
        for worker in ("w1", "w2"):
            queue.client.xgroup_createconsumer(queue.keys.stream(lane), GROUP, worker)
    queue.fence("w1")

    assert set(retire(queue).values()) == {"retired"}

    assert queue.exact().groups == {lane: ["w2"] for lane in LANES}


def test_a_consumer_with_a_lease_stays(queue: Bench) -> None:
    queue.register("w1")
    queue.fetch("w1")
    before = queue.exact()

    assert set(retire(queue).values()) == {"alive"}

    assert queue.exact() == before


def test_a_consumer_that_holds_entries_stays_in_their_lane(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    queue.fence("w1")

    answers = retire(queue)

    assert answers.pop("normal") == "pending"
    assert set(answers.values()) == {"retired"}
    state = queue.exact()
    assert state.groups["normal"] == ["w1"]
    assert state.groups["low"] == []
    assert state.relative().lanes == {"normal": [entry("j1", "w1")]}


def test_a_consumer_that_holds_only_a_deleted_entry_stays_too(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.client.xdel(queue.keys.stream("normal"), job.entry_id)
    queue.fence("w1")

    assert retire(queue)["normal"] == "pending"
    assert queue.reap() == ["stale"]
    assert retire(queue)["normal"] == "retired"


def test_retiring_twice_is_the_same_as_once(queue: Bench) -> None:
    queue.register("w1")
    queue.fetch("w1")
    queue.fence("w1")
    retire(queue)
    before = queue.exact()

    assert set(retire(queue).values()) == {"retired"}

    assert queue.exact() == before


def test_a_lane_without_a_group_has_nobody_to_forget(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    before = queue.exact()

    assert set(retire(queue).values()) == {"retired"}

    assert queue.exact() == before


def test_leases_of_a_wrong_type_are_an_error(queue: Bench) -> None:
    queue.register("w1")
    queue.fetch("w1")
    queue.client.set(queue.keys.leases, "not a sorted set")
    before = queue.exact()

    with pytest.raises(StoreError):
        retire(queue)

    assert queue.exact() == before
