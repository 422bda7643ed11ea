"""A key of a wrong type: enqueue and finish answer `corrupt` for each job and change nothing."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from tests.support.bench import VERBS, Bench, ending, new_job
from tests.support.queue_state import entry


def spoil(queue: Bench, key: str) -> None:
    queue.client.delete(key)
    queue.client.set(key, "of a wrong type")


@pytest.mark.parametrize(
    ("key", "due"),
    [("meta", ""), ("meta", "+5"), ("schedule", "+5"), ("stream", ""), ("job", ""), ("job", "+5")],
)
def test_a_new_job_is_refused(queue: Bench, key: str, due: str) -> None:
    names = {"stream": queue.keys.stream("normal"), "job": queue.keys.job("j1")}
    spoil(queue, names.get(key) or getattr(queue.keys, key))
    before = queue.exact()

    assert queue.enqueue(new_job("j1", due=due, unique="user:7")) == ["corrupt"]

    assert queue.exact() == before


def test_every_job_of_a_batch_is_answered_when_the_queue_is_corrupt(queue: Bench) -> None:
    spoil(queue, queue.keys.meta)
    before = queue.exact()

    assert queue.enqueue(new_job("j1"), new_job("j2")) == ["corrupt", "corrupt"]

    assert queue.exact() == before


def test_a_job_for_another_stream_is_not_hindered(queue: Bench) -> None:
    spoil(queue, queue.keys.stream("normal"))

    answers = queue.enqueue(new_job("j1"), new_job("j2", priority="high"))

    assert answers == ["corrupt", "accepted"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("key", ["meta", "waiters", "cancels", "dead", "schedule"])
def test_no_attempt_is_settled(queue: Bench, key: str, verb: str) -> None:
    job = queue.taken(new_job("j1"), new_job("j2"))
    other = queue.held("w1")[1]
    spoil(queue, getattr(queue.keys, key))
    before = queue.exact()

    answers = queue.finish(ending(job, verb, detail="9"), ending(other, verb, detail="9"))

    assert answers == ["corrupt", "corrupt"]
    assert queue.exact() == before


@pytest.mark.parametrize("verb", VERBS)
def test_an_attempt_whose_record_is_spoilt_does_not_hinder_the_others(
    queue: Bench, verb: str
) -> None:
    job = queue.taken(new_job("j1"), new_job("j2"))
    other = queue.held("w1")[1]
    spoil(queue, queue.keys.job("j1"))

    answers = queue.finish(ending(job, verb, detail="9"), ending(other, "complete"))

    assert answers == ["corrupt", "recorded"]
    state = queue.state()
    assert state.lanes == {"normal": [entry("j1", "w1")]}
    assert list(state.strange) == ["job:j1"]
    assert state.meta == {"enqueue": "2", "complete": "1"}


@pytest.mark.parametrize("verb", VERBS)
def test_an_attempt_whose_stream_is_spoilt_changes_nothing(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    spoil(queue, queue.keys.stream("normal"))
    before = queue.exact()

    assert queue.finish(ending(job, verb, detail="9")) == ["corrupt"]

    assert queue.exact() == before


def test_a_release_into_a_spoilt_lane_changes_nothing(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    spoil(queue, queue.keys.stream("released"))
    before = queue.exact()

    assert queue.finish(ending(job, "release")) == ["corrupt"]

    assert queue.exact() == before


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_settled_while_the_leases_are_spoilt(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    spoil(queue, queue.keys.leases)
    before = queue.exact()

    with pytest.raises(StoreError):
        queue.finish(ending(job, verb, detail="9"))

    assert queue.exact() == before
