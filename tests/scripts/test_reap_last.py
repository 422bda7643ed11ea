"""reap, lane `last`: a death before the mark is not charged, one after it is the end."""

from __future__ import annotations

from rqueue.store.calls import entries
from rqueue.store.keys import Field
from tests.support.bench import CRASH, Bench, new_job
from tests.support.queue_state import DAY, NOW, QueueState, entry, queued, record

LAST = {"priority": "normal", "crashes": 1, "crashed_at": NOW, "max_crashes": 2}
KEPT = {"max_crashes": 2, "crashes": 1, "error_c1": CRASH.decode()}


def to_last(queue: Bench) -> None:
    """A job that one more crash will bury."""
    queue.taken(new_job("j1", max_crashes=2, unique="user:7"), worker="w0")
    queue.fence("w0")
    assert queue.reap("w0") == ["last"]


def take(queue: Bench, worker: str, *, mark: bool) -> None:
    job = queue.taken(worker=worker)
    if mark:
        assert queue.send(entries.mark(queue.keys, worker, job)) == "marked"
    queue.fence(worker)


def test_a_death_before_the_start_is_not_charged(queue: Bench) -> None:
    to_last(queue)
    take(queue, "w1", mark=False)

    assert queue.reap("w1", "last", NOW + 5) == ["last"]

    assert queue.state() == QueueState(
        records={"j1": queued("last", unique="user:7", **KEPT)},
        lanes={"last": [entry("j1", token=3, **LAST)]},
        unique={"user:7": "j1"},
        meta={"enqueue": "1", "reap": "2"},
    )


def test_a_death_after_the_start_is_the_end(queue: Bench) -> None:
    to_last(queue)
    take(queue, "w1", mark=True)

    assert queue.reap("w1", "last", NOW + 5) == ["dead"]

    dead = record(
        "dead",
        entry="gone",
        reason="crashed",
        envelope="call",
        priority="normal",
        token=2,
        unique="user:7",
        worker="w1",
        finished=NOW + 5,
        **KEPT | {"crashes": 2},
        error_c2=CRASH.decode(),
    )
    assert queue.state() == QueueState(
        records={"j1": dead}, dead={"j1": NOW + 5}, meta={"enqueue": "1", "reap": "2", "crash": "1"}
    )


def test_the_mark_of_an_earlier_entry_does_not_count(queue: Bench) -> None:
    to_last(queue)
    job = queue.taken(worker="w1")
    queue.send(entries.mark(queue.keys, "w1", job))
    queue.note("j1", Field.MARK, "1-1")
    queue.fence("w1")

    assert queue.reap("w1", "last") == ["last"]


def test_many_deaths_before_the_start_never_bury_a_job(queue: Bench) -> None:
    to_last(queue)
    for n in range(1, 6):
        take(queue, f"w{n}", mark=False)
        assert queue.reap(f"w{n}", "last") == ["last"]

    assert queue.state().lanes == {"last": [entry("j1", token=7, **LAST)]}


def test_a_death_before_the_start_a_day_later_finds_the_crashes_forgotten(queue: Bench) -> None:
    to_last(queue)
    take(queue, "w1", mark=False)

    assert queue.reap("w1", "last", NOW + DAY + 1) == ["suspect"]

    (found,) = queue.state().lanes["suspect"]
    assert found.fields["crashes"] == "0"


def test_other_lanes_need_no_mark_to_charge_a_crash(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    take(queue, "w1", mark=False)

    assert queue.reap("w1", "normal") == ["suspect"]

    (found,) = queue.state().lanes["suspect"]
    assert found.fields["crashes"] == "1"
