"""When a job was created: as the id of its first entry tells, wherever it goes afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rqueue.clock import from_ms
from rqueue.store.calls import queues
from rqueue.store.calls.info import job_info
from tests.support.bench import VERBS, Bench, ending, new_job
from tests.support.queue_state import DAY, NOW


def stands(queue: Bench) -> int:
    """Milliseconds in the id of the one entry there is."""
    (entry,) = queue.exact().lanes["normal"]
    return int(entry.id.split("-")[0])


def written(queue: Bench) -> str | None:
    return queue.exact().records["j1"].get("created")


def told(queue: Bench) -> object:
    info = queue.run(job_info(queue.keys, "j1"))
    return info and info.created_at


def test_what_is_ready_at_once_is_dated_by_its_entry(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))

    assert (written(queue), told(queue)) == (None, from_ms(stands(queue)))


def test_what_is_due_later_is_dated_by_the_clock(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+1000"))
    assert told(queue) == from_ms(NOW)

    queue.promote("j1", now=NOW + DAY)
    assert told(queue) == from_ms(NOW)


@pytest.mark.parametrize("verb", VERBS)
def test_no_ending_of_an_attempt_changes_it(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    created = stands(queue)

    queue.finish(ending(job, verb, detail="9" if verb == "park" else "failed"))

    assert told(queue) == from_ms(created)


def release(queue: Bench) -> None:
    (job,) = queue.held("w1")
    queue.finish(ending(job, "release"))


def retry(queue: Bench) -> None:
    (job,) = queue.held("w1")
    queue.finish(ending(job, "retry", ms=1000))
    queue.promote("j1", now=NOW + DAY)


def crash(queue: Bench) -> None:
    queue.fence("w1")
    (job,) = queue.held("w1")
    queue.reap("w1", job.lane)


def die_and_live(queue: Bench) -> None:
    (job,) = queue.held("w1")
    queue.finish(ending(job, "bury", detail="failed"))
    queue.run(queues.requeue(queue.keys, ["j1"]))


@pytest.mark.parametrize("move", [release, retry, crash, die_and_live])
def test_a_job_that_moves_keeps_it(queue: Bench, move: Callable[[Bench], None]) -> None:
    queue.taken(new_job("j1"))
    created = stands(queue)

    for _ in range(2):
        move(queue)
        queue.taken()

        assert told(queue) == from_ms(created)


def test_a_foreign_entry_is_dated_by_itself(queue: Bench) -> None:
    queue.register("w1")
    queue.client.xadd(queue.keys.stream("normal"), {"i": "j1", "m": b"call"}, id="1600000000000-7")

    (job,) = queue.fetch()
    queue.finish(ending(job, "complete"))

    assert (written(queue), told(queue)) == (None, from_ms(1_600_000_000_000))
