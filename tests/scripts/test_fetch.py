"""fetch: the next entries for a worker, lane by lane in the order given."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from rqueue.job import Delivery
from rqueue.store.calls import entries, queues
from rqueue.store.calls.entries import Fetched
from tests.support.bench import Bench, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued


def fetch(queue: Bench, count: int, *lanes: tuple[str, int], worker: str = "w1") -> Fetched:
    return queue.send(entries.fetch(queue.keys, worker, count, lanes))


def ids(fetched: Fetched) -> list[str]:
    return [job.job_id for job in fetched.deliveries]


def test_an_entry_is_pending_with_the_worker_that_fetched_it(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("j1"))

    assert ids(fetch(queue, 1, ("normal", 1))) == ["j1"]

    assert queue.state() == QueueState(
        records={"j1": queued("normal")},
        lanes={"normal": [entry("j1", owner="w1")]},
        leases={"w1": 1},
        meta={"enqueue": "1"},
    )


def test_a_delivery_tells_all_that_travels_with_the_entry(queue: Bench) -> None:
    queue.register("w1")
    place = queue.foreign("suspect", i="j1", m="call", t="4", p="high", a="2", n="1")

    fetched = fetch(queue, 1, ("suspect", 1))

    assert fetched.deliveries == [
        Delivery(
            queue="q",
            lane="suspect",
            entry_id=place,
            job_id="j1",
            envelope=b"call",
            worker="w1",
            priority="high",
            attempts=2,
            crashes=1,
            token=4,
        )
    ]


def test_an_entry_goes_to_one_worker_only(queue: Bench) -> None:
    queue.register("w1", "w2")
    queue.enqueue(new_job("j1"), new_job("j2"), new_job("j3"))

    first = fetch(queue, 2, ("normal", 2), worker="w1")
    second = fetch(queue, 2, ("normal", 2), worker="w2")
    third = fetch(queue, 2, ("normal", 2), worker="w1")

    assert [ids(first), ids(second), ids(third)] == [["j1", "j2"], ["j3"], []]
    assert queue.state().lanes == {
        "normal": [entry("j1", "w1"), entry("j2", "w1"), entry("j3", "w2")]
    }


def test_lanes_are_read_in_the_order_given_until_there_is_enough(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("n1"), new_job("n2"), new_job("l1", priority="low"))
    queue.enqueue(new_job("h1", priority="high"))

    fetched = fetch(queue, 3, ("high", 3), ("normal", 3), ("low", 3))

    assert ids(fetched) == ["h1", "n1", "n2"]
    assert queue.state().lanes["low"] == [entry("l1")]


def test_a_lane_gives_no_more_than_its_own_limit(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("h1", priority="high"), new_job("h2", priority="high"))
    queue.enqueue(new_job("n1"), new_job("n2"))

    fetched = fetch(queue, 3, ("high", 1), ("normal", 0), ("low", 3), ("normal", 1))

    assert ids(fetched) == ["h1", "n1"]


def test_jobs_from_before_the_first_worker_are_delivered(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    queue.register("w1")

    assert ids(fetch(queue, 1, ("normal", 1))) == ["j1"]


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "never registered"])
def test_a_worker_without_a_lease_gets_nothing(queue: Bench, fenced: bool) -> None:
    queue.register("w1")
    queue.enqueue(new_job("j1"))
    if fenced:
        queue.fence("w1")
    before = queue.exact()

    assert fetch(queue, 1, ("normal", 1), worker="w1" if fenced else "w2") == Fetched("fenced", [])

    assert queue.exact() == before


def test_a_paused_queue_gives_nothing(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("j1"))
    queue.send(queues.pause(queue.keys, str(NOW)))
    before = queue.exact()

    assert fetch(queue, 1, ("normal", 1)) == Fetched("paused", [])

    assert queue.exact() == before


def test_what_was_read_is_told_although_another_lane_fails(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("h1", priority="high"), new_job("n1"), new_job("l1", priority="low"))
    queue.client.xgroup_destroy(queue.keys.stream("normal"), "workers")

    fetched = fetch(queue, 9, ("high", 9), ("normal", 9), ("low", 9))

    assert ids(fetched) == ["h1", "l1"]
    assert "NOGROUP" in fetched.status
    assert queue.state().lanes == {
        "high": [entry("h1", "w1")],
        "normal": [entry("n1")],
        "low": [entry("l1", "w1")],
    }


def test_a_wrong_type_where_a_stream_should_be_does_not_strand_what_was_read(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("h1", priority="high"))
    queue.client.set(queue.keys.stream("normal"), "not a stream")

    fetched = fetch(queue, 9, ("high", 9), ("normal", 9))

    assert ids(fetched) == ["h1"]
    assert "WRONGTYPE" in fetched.status


@pytest.mark.parametrize("key", ["leases", "meta"])
def test_nothing_is_read_while_a_key_has_a_wrong_type(queue: Bench, key: str) -> None:
    queue.register("w1")
    queue.enqueue(new_job("j1"))
    queue.client.set(getattr(queue.keys, key), "neither a hash nor a sorted set")
    before = queue.exact()

    with pytest.raises(StoreError):
        fetch(queue, 1, ("normal", 1))

    assert queue.exact() == before


def test_what_is_pending_is_listed_and_read_again_without_one_more_delivery(queue: Bench) -> None:
    queue.register("w1", "w2")
    queue.enqueue(new_job("j1"), new_job("j2", priority="low"), new_job("j3"))
    mine = [*queue.fetch("w1", ["low"]), fetch(queue, 1, ("normal", 1)).deliveries[0]]
    fetch(queue, 1, ("normal", 1), worker="w2")
    before = queue.exact()

    places = queue.send(entries.pending(queue.keys, "w1"))
    again = queue.run(entries.read(queue.keys, "w1", places))

    assert sorted(places) == sorted((job.lane, job.entry_id) for job in mine)
    assert sorted(again, key=lambda job: job.job_id) == sorted(mine, key=lambda job: job.job_id)
    assert queue.exact() == before
    assert (
        queue.client.xpending_range(queue.keys.stream("low"), "workers", "-", "+", 9)[0][
            "times_delivered"
        ]
        == 1
    )


def test_nothing_is_pending_in_a_queue_that_no_worker_ever_saw(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))

    assert queue.send(entries.pending(queue.keys, "w1")) == []


def test_an_entry_deleted_while_it_was_pending_is_left_out(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.client.xdel(queue.keys.stream("normal"), job.entry_id)

    places = queue.send(entries.pending(queue.keys, "w1"))

    assert places == [("normal", job.entry_id)]
    assert queue.run(entries.read(queue.keys, "w1", places)) == []
