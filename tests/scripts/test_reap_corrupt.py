"""reap: keys of a wrong type; one bad record never keeps the others with a dead worker."""

from __future__ import annotations

import pytest

from rqueue.store.keys import GROUP
from tests.support.bench import Bench, new_job
from tests.support.queue_state import NOW, entry


@pytest.mark.parametrize("key", ["meta", "waiters", "cancels", "dead"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    queue.taken(new_job("j1"), new_job("j2"))
    queue.fence("w1")
    queue.client.delete(getattr(queue.keys, key))
    queue.client.set(getattr(queue.keys, key), "of a wrong type")
    before = queue.exact()

    assert queue.reap() == ["corrupt", "corrupt"]

    assert queue.exact() == before


@pytest.mark.parametrize("lane", ["suspect", "last"])
def test_a_stream_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, lane: str) -> None:
    queue.taken(new_job("j1"))
    queue.fence("w1")
    queue.client.set(queue.keys.stream(lane), "not a stream")
    before = queue.exact()

    assert queue.reap() == ["corrupt"]

    assert queue.exact() == before


def test_a_record_of_a_wrong_type_does_not_keep_the_others(queue: Bench) -> None:
    queue.taken(new_job("j1"), new_job("j2", unique="user:7", max_crashes=1), new_job("j3"))
    queue.fence("w1")
    queue.client.set(queue.keys.job("j1"), "not a hash")

    assert queue.reap() == ["corrupt", "dead", "suspect"]

    state = queue.state()
    assert state.lanes == {
        "normal": [entry("j1", "w1")],
        "suspect": [entry("j3", token=2, priority="normal", crashes=1, crashed_at=NOW)],
    }
    assert list(state.strange) == ["job:j1"]
    assert state.unique == {}


def test_a_lock_of_a_wrong_type_is_left_alone(queue: Bench) -> None:
    queue.taken(new_job("j1", unique="user:7", max_crashes=1))
    queue.fence("w1")
    queue.client.delete(queue.keys.unique("user:7"))
    queue.client.rpush(queue.keys.unique("user:7"), "not a string")

    assert queue.reap() == ["dead"]

    assert list(queue.state().strange) == ["unique:user:7"]


def test_a_lane_whose_group_was_destroyed_has_nothing_to_reap(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    queue.fence("w1")
    queue.client.xgroup_destroy(queue.keys.stream("normal"), GROUP)

    assert queue.reap() == []
