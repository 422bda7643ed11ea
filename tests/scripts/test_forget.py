"""forget: a schedule is deleted, with its history; its jobs are not touched."""

from __future__ import annotations

from rqueue.store.calls import cron
from tests.support.bench import NIGHTLY, Bench, new_job
from tests.support.queue_state import QueueState, entry, queued


def test_a_schedule_goes_with_its_history_and_its_jobs_stay(queue: Bench) -> None:
    queue.plan()
    queue.fire(NIGHTLY, job=new_job("n@1"))

    assert queue.send(cron.forget(queue.keys, "nightly")) == "forgotten"

    assert queue.state() == QueueState(
        records={"n@1": queued()},
        lanes={"normal": [entry("n@1")]},
        meta={"enqueue": "1", "fire": "1"},
    )


def test_there_must_be_one(queue: Bench) -> None:
    assert queue.send(cron.forget(queue.keys, "nightly")) == "missing"
    assert queue.state() == QueueState()


def test_another_than_was_seen_stays(queue: Bench) -> None:
    queue.plan()
    before = queue.exact()

    assert queue.send(cron.forget(queue.keys, "nightly", seen="r0")) == "changed"

    assert queue.exact() == before
    assert queue.send(cron.forget(queue.keys, "nightly", seen="r1")) == "forgotten"


def test_what_stands_under_its_keys_in_a_wrong_type_goes_as_well(queue: Bench) -> None:
    queue.plan()
    queue.client.delete(queue.keys.plan("nightly"))
    queue.client.set(queue.keys.plan("nightly"), "of a wrong type")

    assert queue.send(cron.forget(queue.keys, "nightly")) == "forgotten"

    assert queue.state() == QueueState()
