"""A stream that holds the highest id takes no more entries: what would have gone there stays."""

from __future__ import annotations

import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import entries, jobs, queues
from rqueue.store.calls.jobs import Enqueued
from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued

HIGHEST = "18446744073709551615-18446744073709551615"
PRIORITIES = ["critical", "high", "normal", "low"]


def exhaust(queue: Bench, lane: str) -> None:
    """As a stranger may: the entry is gone again, and the stream takes no more all the same."""
    stream = queue.keys.stream(lane)
    queue.client.execute_command("XADD", stream, HIGHEST, "m", "call")
    queue.client.execute_command("XDEL", stream, HIGHEST)


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_new_job_is_refused_and_the_stream_is_named(queue: Bench, priority: str) -> None:
    exhaust(queue, priority)
    before = queue.exact()

    (said,) = queue.send(
        jobs.enqueue(queue.keys, [new_job("j1", priority=priority, unique="user:7")])
    )

    assert said == Enqueued("exhausted", place=queue.keys.stream(priority))
    assert queue.exact() == before


def test_new_jobs_of_other_streams_are_not_hindered(queue: Bench) -> None:
    exhaust(queue, "normal")

    answers = queue.enqueue(
        new_job("j1"), new_job("j2", priority="high"), new_job("j3", due="+5000")
    )

    assert answers == ["exhausted", "accepted", "accepted"]


@pytest.mark.parametrize("lane", [*PRIORITIES, "suspect", "last"])
def test_a_due_job_stays_scheduled_and_the_others_go(queue: Bench, lane: str) -> None:
    priority, other = (lane, "high") if lane in PRIORITIES else ("normal", "normal")
    other = "low" if other == priority == "high" else other
    queue.enqueue(new_job("j1", due="+1", priority=priority))
    queue.enqueue(new_job("j2", due="+2", priority=other, max_crashes=9))
    if lane not in PRIORITIES:
        queue.note("j1", Field.CRASHES, 1 if lane == "suspect" else 2, Field.CRASHED_AT, NOW)
    exhaust(queue, lane)
    before = queue.exact()

    assert queue.promote("j1", "j2", now=NOW + 5000) == [
        "corrupt",
        "corrupt" if other == lane else "promoted",
    ]

    after = queue.exact()
    assert after.records["j1"] == before.records["j1"]
    assert after.schedule == {"j1": NOW + 1}
    assert after.lanes.keys() == {other}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_job_that_is_to_run_now_stays_scheduled(queue: Bench, priority: str) -> None:
    queue.enqueue(new_job("j1", due="+5000", priority=priority))
    exhaust(queue, priority)
    before = queue.exact()

    with pytest.raises(CorruptKey):
        queue.reschedule("j1", "+0")

    assert queue.exact() == before


def test_what_waits_in_an_exhausted_stream_can_be_pushed_back(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    exhaust(queue, "normal")

    assert queue.reschedule("j1", "+5000") == "rescheduled"

    assert queue.state().lanes == {}


@pytest.mark.parametrize("lane", ["suspect", "last"])
def test_a_dead_workers_job_stays_pending_and_the_others_are_reaped(
    queue: Bench, lane: str
) -> None:
    queue.taken(
        new_job("j1", max_crashes=2 if lane == "last" else 3),
        new_job("j2", max_crashes=3 if lane == "last" else 2),
        new_job("j3", max_crashes=1),
    )
    queue.fence("w1")
    exhaust(queue, lane)
    before = queue.exact()

    other = "last" if lane == "suspect" else "suspect"
    assert queue.reap() == ["corrupt", other, "dead"]

    after = queue.exact()
    assert after.records["j1"] == before.records["j1"]
    assert [one.owner for one in after.lanes["normal"]] == ["w1"]
    assert [one.fields["id"] for one in after.lanes["normal"]] == ["j1"]
    assert after.meta == {"enqueue": "3", "reap": "2", "crash": "1"}


def test_stuck_jobs_do_not_hide_those_behind_them(queue: Bench) -> None:
    queue.taken(*(new_job(f"j{n}", max_crashes=2) for n in range(100)))
    queue.enqueue(new_job("j100"))
    queue.fetch()
    queue.fence("w1")
    exhaust(queue, "last")

    assert queue.reap() == ["corrupt"] * 100 + ["suspect"]

    assert len(queue.state().lanes["normal"]) == 100


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_dead_job_stays_dead(queue: Bench, priority: str) -> None:
    job = queue.taken(new_job("j1", priority=priority))
    words = (Field.ERROR + "1", b"boom")
    queue.finish(ending(job, "bury", detail="failed", fields=words))
    exhaust(queue, priority)
    before = queue.exact()

    assert queue.run(queues.requeue(queue.keys, ["j1"])) == ["corrupt"]

    assert queue.exact() == before


@pytest.mark.parametrize("lane", ["released", "suspect", "last"])
def test_a_job_that_cannot_be_released_stays_with_its_worker(queue: Bench, lane: str) -> None:
    queue.register("w1")
    queue.foreign("normal" if lane == "released" else lane, i="f1", m="call")
    queue.foreign("high", i="f2", m="call")
    released, other = sorted(queue.fetch(), key=lambda job: job.job_id)
    exhaust(queue, lane)
    before = queue.exact()

    answers = queue.finish(ending(released, "release"), ending(other, "complete"))

    assert answers == ["corrupt", "recorded"]
    after = queue.exact()
    assert {lane: found for lane, found in after.lanes.items() if lane != "high"} == {
        lane: found for lane, found in before.lanes.items() if lane != "high"
    }
    assert "f1" not in after.records
    assert after.meta == {"complete": "1"}


def test_a_release_that_comes_too_late_leaves_no_entry_behind(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.client.execute_command("XACK", queue.keys.stream("normal"), "workers", job.entry_id)
    before = queue.exact()

    assert queue.finish(ending(job, "release")) == ["lost"]

    assert queue.exact() == before


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("complete", "succeeded"),
        ("bury", "dead"),
        ("cancel", "cancelled"),
        ("expire", "expired"),
        ("retry", "retrying"),
        ("snooze", "scheduled"),
        ("park", "scheduled"),
        ("release", "queued"),
    ],
)
def test_what_was_read_from_an_exhausted_stream_ends(queue: Bench, verb: str, state: str) -> None:
    job = queue.taken(new_job("j1"))
    exhaust(queue, "normal")

    assert queue.finish(ending(job, verb, detail="9")) == ["recorded"]

    found = queue.state()
    assert found.records["j1"]["state"] == state
    assert "normal" not in found.lanes


def test_what_waits_in_an_exhausted_stream_can_be_cancelled(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    exhaust(queue, "normal")

    assert queue.cancel("j1") == "cancelled"

    assert queue.state().lanes == {}


def test_the_entry_of_the_highest_id_is_a_job_like_any_other(queue: Bench) -> None:
    queue.register("w1")
    stream = queue.keys.stream("normal")
    queue.client.execute_command("XADD", stream, HIGHEST, "m", "call")

    (job,) = queue.fetch()

    assert (job.entry_id, job.job_id) == (HIGHEST, f"normal-{HIGHEST}")
    assert queue.fetch() == []
    assert queue.send(entries.pending(queue.keys, "w1")) == [("normal", HIGHEST)]
    assert queue.finish(ending(job, "complete")) == ["recorded"]
    assert queue.state().lanes == {}


def test_an_exhausted_stream_that_is_empty_may_be_deleted(queue: Bench) -> None:
    """That is the repair: workers make the group anew, and all that waited goes on."""
    queue.enqueue(new_job("j1", due="+1"))
    queue.taken(new_job("j2", priority="high"))
    exhaust(queue, "normal")
    assert queue.promote("j1", now=NOW + 1) == ["corrupt"]

    queue.client.delete(queue.keys.stream("normal"))

    assert queue.promote("j1", now=NOW + 1) == ["promoted"]
    assert queue.state() == QueueState(
        records={"j1": queued(), "j2": queued("high")},
        lanes={"normal": [entry("j1")], "high": [entry("j2", "w1")]},
        leases={"w1": 1},
        meta={"enqueue": "2", "promote": "1"},
    )
