"""renew: a worker is alive, and learns which of its jobs it must stop."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from rqueue.store.calls import leases
from rqueue.store.calls.leases import Abandoned, Renewed, Seen
from tests.support.bench import UNREADABLE, Bench, new_job


def renew(queue: Bench, worker: str, counter: int) -> Renewed:
    return queue.send(leases.renew(queue.keys, worker, counter))


def test_a_renewal_moves_the_counter_and_nothing_else(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    queue.register("w2")
    before = queue.exact()

    assert renew(queue, "w1", 2) == Renewed(is_live=True, cancels=[], seen=Seen({"w1": 2, "w2": 1}))

    after = queue.exact()
    assert after.leases == {"w1": 2, "w2": 1}
    after.leases["w1"] = 1
    assert after == before


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "never registered"])
def test_a_worker_without_a_lease_cannot_get_it_back(queue: Bench, fenced: bool) -> None:
    queue.register("w1", "w2")
    if fenced:
        queue.fence("w1")
    before = queue.exact()

    assert renew(queue, "w1" if fenced else "w3", 2) == Renewed(
        is_live=False, cancels=[], seen=Seen({})
    )

    assert queue.exact() == before


def test_a_counter_that_does_not_grow_is_no_sign_of_life(queue: Bench) -> None:
    """The reason why every try sends a larger one."""
    queue.register("w1")
    renew(queue, "w1", 2)
    before = queue.exact()

    assert not renew(queue, "w1", 2).is_live

    assert queue.exact() == before


def test_a_renewal_that_got_no_answer_does_not_condemn_the_next(queue: Bench) -> None:
    queue.register("w1")
    renew(queue, "w1", 2)

    assert renew(queue, "w1", 3).is_live
    assert not leases.renew(queue.keys, "w1", 4).repeatable


def test_a_worker_is_told_to_stop_its_own_jobs_until_they_end(queue: Bench) -> None:
    queue.taken(new_job("j1"), new_job("j2"))
    queue.taken(new_job("j3"), worker="w2")
    for job_id in ("j1", "j2", "j3"):
        queue.cancel(job_id)

    assert sorted(renew(queue, "w1", 2).cancels) == ["j1", "j2"]
    assert renew(queue, "w2", 2).cancels == ["j3"]
    assert sorted(renew(queue, "w1", 3).cancels) == ["j1", "j2"]


def test_a_list_of_cancels_of_a_wrong_type_does_not_cost_the_lease(queue: Bench) -> None:
    queue.register("w1")
    queue.client.set(queue.keys.cancels, "not a hash")

    assert renew(queue, "w1", 2) == Renewed(is_live=True, cancels=[], seen=Seen({"w1": 2}))

    assert queue.state().leases == {"w1": 2}


def test_leases_of_a_wrong_type_are_an_error(queue: Bench) -> None:
    queue.client.set(queue.keys.leases, "not a sorted set")
    before = queue.exact()

    with pytest.raises(StoreError):
        renew(queue, "w1", 2)

    assert queue.exact() == before


def test_a_look_shows_every_lease_and_changes_nothing(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    queue.register("w2")
    queue.cancel("j1")
    before = queue.exact()

    assert queue.send(leases.look(queue.keys)) == Seen({"w1": 1, "w2": 1})

    assert queue.exact() == before


def test_a_look_at_a_queue_that_never_was_shows_nobody(queue: Bench) -> None:
    assert queue.send(leases.look(queue.keys, sweep=True)) == Seen({}, [])
    assert queue.client.keys(f"{queue.keys.namespace}:*") == []


def test_a_sweep_lists_the_consumers_without_a_lease_whether_they_hold_anything(
    queue: Bench,
) -> None:
    queue.taken(new_job("j1"), new_job("j2", priority="high"))
    queue.fetch("w1")
    queue.taken(new_job("j3"), worker="w2")
    queue.fence("w1")

    seen = queue.send(leases.renew(queue.keys, "w2", 2, sweep=True)).seen

    assert (seen.standing, seen.abandoned is not None) == ({"w2": 2}, True)
    held = [one for one in seen.abandoned or [] if one.pending]
    assert {one.worker for one in seen.abandoned or []} == {"w1"}
    assert sorted(held, key=lambda one: one.lane) == [
        Abandoned("w1", "high", 1), Abandoned("w1", "normal", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_stream_that_cannot_be_read_hides_no_other_from_a_sweep(queue: Bench, kind: str) -> None:
    queue.taken(new_job("j1"))
    queue.fence("w1")
    queue.spoil("released", kind)

    seen = queue.send(leases.look(queue.keys, sweep=True))

    assert Abandoned("w1", "normal", 1) in (seen.abandoned or [])
