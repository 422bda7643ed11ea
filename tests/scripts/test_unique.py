"""A unique key is held from the enqueue to the end of its job, and released by the ending alone."""

from __future__ import annotations

import pytest

from rqueue.store.calls import queues
from rqueue.store.calls.entries import with_uniques
from tests.support.queue_state import NOW, Bench, ending, new_job

KEY = "user:7"


def is_free(queue: Bench) -> bool:
    (answer,) = queue.enqueue(new_job("other", unique=KEY))
    return answer == "accepted"


@pytest.mark.parametrize("verb", ["complete", "bury", "cancel", "expire"])
def test_every_ending_opens_the_lock(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1", unique=KEY))
    assert not is_free(queue)

    queue.finish(ending(job, verb, unique=KEY))

    assert queue.state().unique == {}
    assert is_free(queue)


@pytest.mark.parametrize("due", ["", "+5000"])
def test_cancelling_a_job_that_waits_opens_the_lock(queue: Bench, due: str) -> None:
    queue.enqueue(new_job("j1", unique=KEY, due=due))

    queue.cancel("j1")

    assert queue.state().unique == {}
    assert is_free(queue)


def test_a_death_by_crashes_opens_the_lock(queue: Bench) -> None:
    queue.taken(new_job("j1", unique=KEY, max_crashes=1))
    queue.fence("w1")

    assert queue.reap() == ["dead"]

    assert queue.state().unique == {}
    assert is_free(queue)


def test_a_lock_is_held_through_all_that_is_no_end(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique=KEY))
    for verb in ("retry", "snooze", "park"):
        queue.finish(ending(job, verb, ms=0, detail="9", unique=KEY))
        assert not is_free(queue)
        queue.promote("j1")
        assert not is_free(queue)
        (job,) = queue.fetch()
    queue.finish(ending(job, "release", unique=KEY))
    queue.fetch()
    assert queue.cancel("j1") == "requested"
    assert not is_free(queue)
    queue.client.hdel(queue.keys.job("j1"), "g")
    queue.fence("w1")

    assert queue.reap(lane="released") == ["suspect"]

    assert not is_free(queue)
    assert queue.state().unique == {KEY: "j1"}


def test_the_lock_of_another_is_never_opened(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.enqueue(new_job("other", unique=KEY))

    assert queue.finish(ending(job, "complete", unique=KEY)) == ["recorded"]

    assert queue.state().unique == {KEY: "other"}


def test_a_late_ending_does_not_open_the_lock_of_the_next_holder(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique=KEY))
    queue.finish(ending(job, "complete", unique=KEY))
    assert is_free(queue)

    queue.finish(ending(job, "complete", unique=KEY))

    assert queue.state().unique == {KEY: "other"}


def test_a_dead_job_with_a_new_life_does_not_take_the_lock_of_another(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique=KEY))
    queue.finish(ending(job, "bury", detail="failed", unique=KEY))
    assert is_free(queue)
    queue.send(queues.requeue(queue.keys, ["j1"]))
    again = next(job for job in queue.fetch() if job.job_id == "j1")

    queue.finish(ending(again, "complete", unique=KEY))

    assert queue.state().unique == {KEY: "other"}


def test_a_lock_of_a_wrong_type_refuses_the_job_that_asks_for_it(queue: Bench) -> None:
    queue.client.rpush(queue.keys.unique(KEY), "not a string")
    before = queue.exact()

    assert queue.enqueue(new_job("j1", unique=KEY), now=NOW) == ["corrupt"]

    assert queue.exact() == before


def test_a_lock_of_a_wrong_type_does_not_hinder_the_end(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique=KEY))
    queue.client.delete(queue.keys.unique(KEY))
    queue.client.rpush(queue.keys.unique(KEY), "not a string")

    assert queue.finish(ending(job, "complete", unique=KEY)) == ["recorded"]

    assert list(queue.state().strange) == [f"unique:{KEY}"]


@pytest.mark.parametrize("verb", ["complete", "bury", "cancel", "expire"])
def test_an_ending_that_does_not_declare_the_lock_is_asked_for_again(
    queue: Bench, verb: str
) -> None:
    job = queue.taken(new_job("j1", unique=KEY))
    before = queue.state()

    assert queue.finish(ending(job, verb)) == ["undeclared"]
    assert queue.state() == before

    (named,) = queue.transport.run(with_uniques(queue.keys, [ending(job, verb)]))
    assert queue.finish(named) == ["recorded"]
    assert queue.state().unique == {}


def test_a_lock_whose_name_only_ends_like_the_own_one_is_not_the_own(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique=KEY))

    assert queue.finish(ending(job, "complete", unique=f"x:unique:{KEY}")) == ["undeclared"]

    assert queue.state().unique == {KEY: "j1"}


def test_a_job_that_goes_on_needs_no_lock_declared(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique=KEY))

    assert queue.finish(ending(job, "retry")) == ["recorded"]

    assert not is_free(queue)
