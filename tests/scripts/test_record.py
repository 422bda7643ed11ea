"""record: a call that a process ran itself leaves the record of a finished job."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import jobs
from rqueue.store.keys import Field
from tests.support.bench import Bench, new_job
from tests.support.queue_state import NOW, QueueState, record


def keep(queue: Bench, state: str, job_id: str = "j1", **changes: Any) -> str:
    words = (Field.TASK, "pay", Field.RESULT, b"42")
    job = new_job(job_id, **changes)
    return queue.send(jobs.record(queue.keys, job, state, 60_000, words, str(NOW)))


def kept(state: str, **fields: object) -> dict[str, str]:
    return record(state, finished=NOW, task="pay", result=42, **fields)


@pytest.mark.parametrize("state", ["succeeded", "cancelled"])
def test_a_call_that_ended_is_remembered_for_its_time(queue: Bench, state: str) -> None:
    assert keep(queue, state) == "recorded"

    assert queue.state() == QueueState(records={"j1": kept(state, ttl=60)}, meta={"record": "1"})


def test_a_call_that_failed_is_a_dead_letter(queue: Bench) -> None:
    assert keep(queue, "dead") == "recorded"

    assert queue.state() == QueueState(
        records={"j1": kept("dead")}, dead={"j1": NOW}, meta={"record": "1"}
    )


def test_an_id_that_is_taken_is_a_conflict(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    keep(queue, "succeeded", "j2")
    before = queue.exact()

    assert keep(queue, "succeeded", "j1", digest=b"another") == "conflict"
    assert keep(queue, "dead", "j2", digest=b"another") == "conflict"
    assert keep(queue, "succeeded", "j1") == keep(queue, "dead", "j2") == "duplicate"

    assert queue.exact() == before


@pytest.mark.parametrize("key", ["dead", "meta"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    queue.client.set(getattr(queue.keys, key), "of a wrong type")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        keep(queue, "dead")

    assert queue.exact() == before


def test_a_record_of_a_wrong_type_is_not_touched(queue: Bench) -> None:
    queue.client.set(queue.keys.job("j1"), "not a hash")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        keep(queue, "succeeded")

    assert queue.exact() == before
