"""What is told of a job: its record, and what only its place tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rqueue.clock import from_ms
from rqueue.job import JobInfo, JobState
from rqueue.store.calls.info import job_info
from rqueue.store.keys import GROUP, Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW


def info(queue: Bench, job_id: str = "j1") -> JobInfo | None:
    """What is told; a job that was created by its entry's id was so ``NOW``."""
    found = queue.run(job_info(queue.keys, job_id))
    if found is None or found.created_at is None:
        return found
    if abs(datetime.now(UTC) - found.created_at) < timedelta(minutes=5):
        return msgspec.structs.replace(found, created_at=from_ms(NOW))
    return found


def told(state: JobState, **known: object) -> JobInfo:
    fields = {"priority": "high", "created_at": from_ms(NOW), "envelope": b"call"} | known
    return JobInfo(id="j1", queue="q", state=state, **fields)  # type: ignore[arg-type]


def test_nothing_is_told_of_a_job_that_nobody_knows(queue: Bench) -> None:
    assert info(queue) is None


def test_a_job_waits_until_it_is_in_a_workers_hands(queue: Bench) -> None:
    queue.enqueue(new_job("j1", priority="high", unique="user:7"))

    assert info(queue) == told(JobState.QUEUED, unique="user:7")

    queue.taken()
    assert info(queue) == told(JobState.RUNNING, unique="user:7", worker="w1")

    queue.cancel("j1", "no more")
    running = info(queue)
    assert running is not None
    assert (running.cancel_requested, running.reason) == (True, "no more")


def test_a_lane_without_a_group_has_nobody_who_runs_its_jobs(queue: Bench) -> None:
    queue.enqueue(new_job("j1", priority="high"))
    queue.register("w1")
    queue.client.xgroup_destroy(queue.keys.stream("high"), GROUP)

    assert info(queue) == told(JobState.QUEUED)


def test_a_job_in_an_inner_lane_keeps_its_priority(queue: Bench) -> None:
    job = queue.taken(new_job("j1", priority="high"))

    queue.finish(ending(job, "release"))

    assert info(queue) == told(JobState.QUEUED)


@pytest.mark.parametrize(
    ("verb", "state"), [("retry", JobState.RETRYING), ("snooze", JobState.SCHEDULED)]
)
def test_a_job_that_waits_for_its_time_tells_when(queue: Bench, verb: str, state: JobState) -> None:
    job = queue.taken(new_job("j1", priority="high"))

    queue.finish(ending(job, verb, ms=5000, fields=(Field.ATTEMPTS, 1)))

    assert info(queue) == told(state, attempts=1, due_at=from_ms(NOW + 5000))


def test_a_job_that_ended_tells_how(queue: Bench) -> None:
    job = queue.taken(new_job("j1", priority="high"))
    words = (Field.RESULT, b"42", Field.BEGUN, NOW, Field.WORKER, "w1", Field.TASK, "pay")

    queue.finish(ending(job, "complete", fields=words), now=NOW + 9)

    assert info(queue) == told(
        JobState.SUCCEEDED,
        priority="",
        attempts=1,
        envelope=None,
        task="pay",
        worker="w1",
        result=b"42",
        started_at=from_ms(NOW),
        finished_at=from_ms(NOW + 9),
    )


def test_a_dead_letter_keeps_its_envelope(queue: Bench) -> None:
    job = queue.taken(new_job("j1", priority="high"))

    queue.finish(ending(job, "bury", detail="failed"))

    assert info(queue) == told(JobState.DEAD, reason="failed", finished_at=from_ms(NOW))
