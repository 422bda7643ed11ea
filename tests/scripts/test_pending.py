"""pending: what a worker has read and not settled."""

from __future__ import annotations

import pytest

from rqueue.store.calls import entries
from tests.support.bench import UNREADABLE, Bench, ending, new_job


def pending(queue: Bench, worker: str = "w1", limit: int = 1000) -> list[tuple[str, str]]:
    return queue.send(entries.pending(queue.keys, worker, limit))


def test_what_a_worker_holds_is_listed_lane_by_lane_and_nothing_changes(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{n}", priority=p) for n, p in enumerate(("low", "high", "low"))))
    queue.register("w1")
    held = queue.fetch("w1")
    before = queue.exact()

    listed = pending(queue)

    assert listed == [(job.lane, job.entry_id) for job in held]
    assert [lane for lane, _ in listed] == ["high", "low", "low"]
    assert queue.exact() == before


def test_what_was_settled_and_what_others_hold_is_not_listed(queue: Bench) -> None:
    first = queue.taken(new_job("j1"))
    queue.taken(new_job("j2"), worker="w2")
    queue.finish(ending(first, "complete"))

    assert pending(queue) == []


def test_no_more_of_a_lane_is_listed_than_was_asked_for(queue: Bench) -> None:
    queue.taken(*(new_job(f"j{n}", priority=p) for n, p in enumerate(("low", "low", "high"))))

    assert [lane for lane, _ in pending(queue, limit=1)] == ["high", "low"]


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_stream_that_cannot_be_read_hides_no_other(queue: Bench, kind: str) -> None:
    job = queue.taken(new_job("j1"))
    queue.spoil("released", kind)

    assert pending(queue) == [("normal", job.entry_id)]
