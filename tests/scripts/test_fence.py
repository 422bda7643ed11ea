"""fence: a worker is dead; it can record nothing from here on."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from rqueue.store.calls import entries, leases
from rqueue.store.calls.entries import Fetched
from tests.support.bench import Bench, new_job
from tests.support.queue_state import entry


def fence(queue: Bench, worker: str, counter: float | None = None) -> str:
    return queue.send(leases.fence(queue.keys, worker, counter))


@pytest.mark.parametrize("counter", [1.0, None])
def test_only_the_lease_is_taken(queue: Bench, counter: float | None) -> None:
    queue.taken(new_job("j1"))
    queue.register("w2")
    before = queue.exact()

    assert fence(queue, "w1", counter) == "fenced"

    after = queue.exact()
    assert after.leases == {"w2": 1}
    after.leases["w1"] = 1
    assert after == before


def test_a_worker_that_renewed_since_is_alive(queue: Bench) -> None:
    queue.register("w1")
    queue.send(leases.renew(queue.keys, "w1", 2))
    before = queue.exact()

    assert fence(queue, "w1", 1) == "alive"

    assert queue.exact() == before


def test_a_worker_is_fenced_once(queue: Bench) -> None:
    queue.register("w1", "w2")
    fence(queue, "w1", 1)
    before = queue.exact()

    assert fence(queue, "w1", 1) == "missing"
    assert fence(queue, "w1") == "missing"

    assert queue.exact() == before


def test_a_fenced_worker_can_neither_fetch_nor_renew(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("j1"))

    fence(queue, "w1")

    lanes = [("normal", 1)]
    assert queue.send(entries.fetch(queue.keys, "w1", 1, lanes)) == Fetched("fenced", [])
    assert not queue.send(leases.renew(queue.keys, "w1", 2)).is_live
    assert queue.state().lanes == {"normal": [entry("j1")]}


def test_the_leases_tell_where_each_counter_stands(queue: Bench) -> None:
    queue.register("w1", "w2")
    queue.send(leases.renew(queue.keys, "w2", 12))

    assert queue.send(leases.leases(queue.keys)) == {"w1": 1.0, "w2": 12.0}


def test_leases_of_a_wrong_type_are_an_error(queue: Bench) -> None:
    queue.client.set(queue.keys.leases, "not a sorted set")
    before = queue.exact()

    with pytest.raises(StoreError):
        fence(queue, "w1", 1)

    assert queue.exact() == before
