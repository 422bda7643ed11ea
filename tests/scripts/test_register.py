"""register: a worker joins a queue: the groups exist, and its lease begins."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import leases
from rqueue.store.keys import GROUP, LANES
from tests.support.bench import Bench, new_job
from tests.support.queue_state import QueueState, entry


def register(queue: Bench, worker: str = "w1", counter: int = 1) -> str:
    return queue.send(leases.register(queue.keys, worker, counter))


def test_a_worker_gets_a_lease_and_every_lane_its_group(queue: Bench) -> None:
    assert register(queue, "w1", 7) == "registered"

    assert queue.exact() == QueueState(leases={"w1": 7}, groups={lane: [] for lane in LANES})


def test_schedulers_hear_of_a_queue_that_is_at_work(queue: Bench) -> None:
    with queue.client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(queue.keys.wake)
        heard.get_message(timeout=5)
        register(queue)

        told: Any = heard.get_message(timeout=5)

    assert told["channel"] in (queue.keys.wake, queue.keys.wake.encode())


def test_a_name_that_is_in_use_is_taken_and_its_lease_untouched(queue: Bench) -> None:
    register(queue, "w1", 7)
    before = queue.exact()

    assert register(queue, "w1", 99) == "taken"

    assert queue.exact() == before


def test_workers_join_beside_each_other(queue: Bench) -> None:
    register(queue, "w1", 1)
    queue.enqueue(new_job("j1"))
    queue.fetch("w1")

    assert register(queue, "w2", 2) == "registered"

    state = queue.state()
    assert state.leases == {"w1": 1, "w2": 2}
    assert state.lanes == {"normal": [entry("j1", "w1")]}


def test_a_group_that_somebody_destroyed_is_restored_also_for_a_worker_that_is_there(
    queue: Bench,
) -> None:
    register(queue)
    queue.enqueue(new_job("j1"))
    queue.client.xgroup_destroy(queue.keys.stream("normal"), GROUP)

    assert register(queue) == "taken"

    assert [job.job_id for job in queue.fetch("w1")] == ["j1"]


def restore(queue: Bench, worker: str = "w1") -> str:
    return queue.send(leases.restore(queue.keys, worker))


def destroy_groups(queue: Bench) -> None:
    for lane in LANES:
        queue.client.xgroup_destroy(queue.keys.stream(lane), GROUP)


def test_a_worker_restores_destroyed_groups_and_keeps_its_lease(queue: Bench) -> None:
    register(queue, "w1", 7)
    before = queue.exact()
    destroy_groups(queue)

    assert restore(queue) == "restored"

    assert queue.exact() == before


def test_a_worker_without_a_lease_restores_nothing_and_gets_none(queue: Bench) -> None:
    register(queue, "w1", 7)
    queue.fence("w1")
    destroy_groups(queue)
    before = queue.exact()

    assert restore(queue) == "fenced"

    assert queue.exact() == before


def test_groups_that_stand_are_left_as_they_are(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    before = queue.exact()

    assert restore(queue) == "standing"

    assert queue.exact() == before


def test_an_answer_that_was_lost_is_not_asked_for_again(queue: Bench) -> None:
    assert not leases.register(queue.keys, "w1", 1).repeatable


@pytest.mark.parametrize("key", ["leases", *LANES])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    name = queue.keys.leases if key == "leases" else queue.keys.stream(key)
    queue.client.set(name, "of a wrong type")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        register(queue)

    assert queue.exact() == before
