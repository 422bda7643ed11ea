"""A unique key is held from the enqueue to the end of its job, and released by the ending alone."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.store.calls import queues
from rqueue.store.calls.entries import with_uniques
from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW

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


def dead(queue: Bench, *names: str, **changes: Any) -> None:
    for name in names:
        job = queue.taken(new_job(name, **changes))
        queue.finish(ending(job, "bury", unique=changes.get("unique", "")))


def requeue(queue: Bench, *ids: str) -> list[str]:
    return queue.run(queues.requeue(queue.keys, ids))


def test_a_dead_job_with_a_new_life_takes_its_lock_again_and_opens_it(queue: Bench) -> None:
    dead(queue, "j1", unique=KEY)
    assert queue.state().unique == {}

    assert requeue(queue, "j1") == ["requeued"]

    assert queue.state().unique == {KEY: "j1"}
    assert queue.state().records["j1"]["unique"] == KEY
    assert not is_free(queue)
    queue.finish(ending(queue.fetch()[0], "complete", unique=KEY))
    assert queue.state().unique == {}
    assert "unique" not in queue.state().records["j1"]


def test_a_job_that_crashed_to_death_takes_its_lock_again(queue: Bench) -> None:
    queue.taken(new_job("j1", unique=KEY, max_crashes=1))
    queue.fence("w1")
    queue.reap()

    assert requeue(queue, "j1") == ["requeued"]

    assert queue.state().unique == {KEY: "j1"}


def test_a_dead_job_whose_key_another_holds_stays_dead(queue: Bench) -> None:
    dead(queue, "j1", unique=KEY)
    assert is_free(queue)
    before = queue.exact()

    assert requeue(queue, "j1") == ["locked"]

    assert queue.exact() == before


def test_of_two_dead_jobs_of_one_key_one_gets_a_new_life(queue: Bench) -> None:
    dead(queue, "j1", "j2", unique=KEY)
    dead(queue, "j3")

    assert requeue(queue, "j2", "j1", "j3") == ["requeued", "locked", "requeued"]

    state = queue.state()
    assert (state.unique, list(state.dead)) == ({KEY: "j2"}, ["j1"])


def test_a_dead_job_that_left_no_key_behind_takes_no_lock(queue: Bench) -> None:
    """It died under a release that did not keep it."""
    dead(queue, "j1", unique=KEY)
    queue.client.hdel(queue.keys.job("j1"), Field.UNIQUE)

    assert requeue(queue, "j1") == ["requeued"]

    assert queue.state().unique == {}


def test_a_key_that_changes_under_a_requeue_is_read_again(queue: Bench) -> None:
    dead(queue, "j1", unique="old")
    flow = queues.requeue(queue.keys, ["j1"])
    step = flow.send(queue.step(next(flow)))
    queue.note("j1", Field.UNIQUE, "new")
    assert queue.step(step) == ["changed"]
    step = flow.send(["changed"])
    step = flow.send(queue.step(step))

    assert queue.step(step) == ["requeued"]

    assert queue.state().unique == {"new": "j1"}


def test_a_lock_of_a_wrong_type_leaves_the_dead_job_dead(queue: Bench) -> None:
    dead(queue, "j1", unique=KEY)
    queue.client.rpush(queue.keys.unique(KEY), "not a string")
    before = queue.exact()

    assert requeue(queue, "j1") == ["corrupt"]

    assert queue.exact() == before


def test_a_requeue_into_a_stream_that_takes_none_takes_no_lock(queue: Bench) -> None:
    dead(queue, "j1", unique=KEY)
    queue.client.delete(queue.keys.stream("normal"))
    queue.client.set(queue.keys.stream("normal"), "not a stream")
    before = queue.exact()

    assert requeue(queue, "j1") == ["corrupt"]

    assert queue.exact() == before


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
