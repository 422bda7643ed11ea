"""When a job could first run: as the id of its first entry tells, wherever it goes afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rqueue.store.calls import queues
from tests.scripts.test_created import crash, release, retry
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import DAY, NOW


def ms_of(entry_id: str) -> int:
    return int(entry_id.split("-", maxsplit=1)[0])


def snooze(queue: Bench) -> None:
    (job,) = queue.held("w1")
    queue.finish(ending(job, "snooze", ms=1000))
    queue.promote("j1", now=NOW + DAY)


def postpone(queue: Bench) -> None:
    release(queue)
    queue.reschedule("j1", str(NOW + DAY))
    queue.promote("j1", now=NOW + DAY)


@pytest.mark.parametrize("move", [release, retry, snooze, crash, postpone])
@pytest.mark.parametrize("due", ["", "+1000"])
def test_a_job_that_moves_keeps_it(queue: Bench, move: Callable[[Bench], None], due: str) -> None:
    queue.enqueue(new_job("j1", due=due))
    queue.promote("j1", now=NOW + DAY)
    first = queue.taken()

    for _ in range(2):
        move(queue)
        again = queue.taken()

        assert (first.first_ready_ms, again.first_ready_ms) == (0, ms_of(first.entry_id))


def test_it_stands_in_a_record_only_while_the_job_waits_for_its_time(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    seen: list[str | None] = []
    for step in (
        lambda: queue.finish(ending(job, "retry", ms=1000)),
        lambda: queue.promote("j1", now=NOW + DAY),
    ):
        step()
        seen.append(queue.exact().records["j1"].get("ready"))

    assert seen == [str(ms_of(job.entry_id)), None]


def test_a_job_that_is_cancelled_while_it_waits_leaves_none(queue: Bench) -> None:
    queue.finish(ending(queue.taken(new_job("j1")), "retry", ms=1000))

    queue.cancel("j1")

    assert "ready" not in queue.exact().records["j1"]


def test_a_new_life_begins_anew(queue: Bench) -> None:
    retry_first = queue.taken(new_job("j1"))
    queue.finish(ending(retry_first, "retry", ms=1000))
    queue.promote("j1", now=NOW + DAY)
    queue.finish(ending(queue.taken(), "bury", detail="failed"))

    queue.run(queues.requeue(queue.keys, ["j1"]))

    assert queue.taken().first_ready_ms == 0
