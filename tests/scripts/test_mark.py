"""mark: a worker starts a job of the lane `last`; a crash from here on is charged to it."""

from __future__ import annotations

import pytest

from rqueue.errors import CorruptKey
from rqueue.job import Delivery
from rqueue.store.calls import entries
from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job


def mark(queue: Bench, job: Delivery, worker: str = "w1") -> str:
    return queue.send(entries.mark(queue.keys, worker, job))


def test_the_record_names_the_entry_that_is_about_to_run(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    before = queue.state()

    assert mark(queue, job) == "marked"

    after = queue.state()
    assert after.records["j1"] == before.records["j1"] | {"mark": "here"}
    after.records["j1"].pop("mark")
    assert after == before


def test_marking_twice_is_the_same_as_once(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    mark(queue, job)
    before = queue.exact()

    assert mark(queue, job) == "marked"

    assert queue.exact() == before


def test_a_worker_without_a_lease_starts_nothing(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.fence("w1")
    before = queue.exact()

    assert mark(queue, job) == "fenced"

    assert queue.exact() == before


def test_a_job_that_moved_on_is_not_marked(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "release"))
    queue.note("j1", Field.ENTRY, "1-1")
    before = queue.exact()

    assert mark(queue, job) == "stale"

    assert queue.exact() == before


def test_a_record_of_a_wrong_type_is_not_touched(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.client.set(queue.keys.job("j1"), "not a hash")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        mark(queue, job)

    assert queue.exact() == before


def test_a_mark_does_not_outlive_the_job(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    mark(queue, job)

    queue.finish(ending(job, "complete"))

    assert "mark" not in queue.state().records["j1"]
