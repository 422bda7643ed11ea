"""promote: due jobs go from the schedule to their streams."""

from __future__ import annotations

import pytest

from rqueue.store.calls import schedule
from rqueue.store.calls.schedule import Due, Moved
from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import DAY, NOW, QueueState, entry, queued


@pytest.mark.parametrize("priority", ["critical", "high", "normal", "low"])
def test_a_due_job_goes_to_the_stream_of_its_priority(queue: Bench, priority: str) -> None:
    queue.enqueue(new_job("j1", due="+5000", priority=priority, unique="a", max_crashes=7))

    assert queue.promote("j1", now=NOW + 5000) == ["promoted"]

    assert queue.state() == QueueState(
        records={"j1": queued(priority, unique="a", max_crashes=7)},
        lanes={priority: [entry("j1", max_crashes=7)]},
        unique={"a": "j1"},
        meta={"enqueue": "1", "promote": "1"},
    )


def test_a_job_is_promoted_once(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5000"))
    queue.promote("j1", now=NOW + 5000)
    before = queue.exact()

    assert queue.promote("j1", "j1", now=NOW + 5000) == ["early", "early"]

    assert queue.exact() == before


def test_a_job_that_is_not_due_stays(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5000"))
    before = queue.exact()

    assert queue.promote("j1", now=NOW + 4999) == ["early"]

    assert queue.exact() == before


def test_each_job_is_answered_on_its_own(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{n}", due=f"+{n}") for n in (1, 2, 3, 9)))
    queue.client.delete(queue.keys.job("j1"))
    queue.client.delete(queue.keys.job("j2"))
    queue.client.set(queue.keys.job("j2"), "not a hash")

    answers = queue.promote("j1", "j2", "j3", "j9", now=NOW + 5)

    assert answers == ["orphan", "corrupt", "promoted", "early"]
    state = queue.state()
    assert state.lanes == {"normal": [entry("j3")]}
    assert state.schedule == {"j2": NOW + 2, "j9": NOW + 9}
    assert state.meta == {"enqueue": "4", "promote": "1", "orphan": "1"}


def test_an_id_whose_job_is_queued_already_is_dropped_from_the_schedule(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    before = queue.state()
    queue.client.zadd(queue.keys.schedule, {"j1": NOW})

    assert queue.promote("j1", now=NOW) == ["orphan"]

    after = queue.state()
    assert (after.lanes, after.records) == (before.lanes, before.records)
    assert after.schedule == {}


@pytest.mark.parametrize("verb", ["complete", "bury", "cancel", "expire"])
def test_a_job_that_ended_never_comes_back_by_the_schedule(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, verb))
    queue.client.zadd(queue.keys.schedule, {"j1": NOW})
    before = queue.state()

    assert queue.promote("j1") == ["orphan"]

    after = queue.state()
    assert (after.lanes, after.records, after.dead) == ({}, before.records, before.dead)


def test_a_record_without_an_envelope_has_nothing_to_run(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5000"))
    queue.client.hdel(queue.keys.job("j1"), Field.ENVELOPE)

    assert queue.promote("j1", now=NOW + 5000) == ["orphan"]

    assert queue.state().lanes == {}


def test_a_priority_that_nobody_knows_counts_as_normal(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5000"))
    queue.note("j1", Field.PRIORITY, "urgent!")

    assert queue.promote("j1", now=NOW + 5000) == ["promoted"]

    assert queue.state().lanes == {"normal": [entry("j1")]}


@pytest.mark.parametrize(
    ("crashes", "cap", "lane"),
    [(1, "", "suspect"), (2, "", "last"), (1, 2, "last"), (3, 5, "suspect"), (4, 5, "last")],
)
def test_a_job_with_crashes_waits_among_the_suspects(
    queue: Bench, crashes: int, cap: object, lane: str
) -> None:
    queue.enqueue(new_job("j1", due="+5000", max_crashes=cap))
    queue.note("j1", Field.CRASHES, crashes, Field.CRASHED_AT, NOW, Field.TOKEN, 8)

    assert queue.promote("j1", now=NOW + DAY) == ["promoted"]

    expected = {"token": 9, "priority": "normal", "crashes": crashes, "crashed_at": NOW}
    if cap:
        expected["max_crashes"] = cap
    assert queue.state().lanes == {lane: [entry("j1", **expected)]}


def test_crashes_are_forgotten_a_day_after_the_last(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5000", priority="high"))
    queue.note("j1", Field.CRASHES, 2, Field.CRASHED_AT, NOW)

    assert queue.promote("j1", now=NOW + DAY + 1) == ["promoted"]

    assert queue.state().lanes == {"high": [entry("j1")]}


@pytest.mark.parametrize("key", ["schedule", "meta"])
def test_every_job_of_a_batch_is_answered_when_the_queue_is_corrupt(queue: Bench, key: str) -> None:
    queue.enqueue(new_job("j1", due="+1"), new_job("j2", due="+2"))
    queue.client.set(getattr(queue.keys, key), "of a wrong type")
    before = queue.exact()

    moved = queue.send(schedule.promote(queue.keys, ["j1", "j2"], str(NOW + 5000)))

    assert moved == Moved(["corrupt", "corrupt"], Due([], None))
    assert queue.exact() == before


def test_what_is_due_next_is_listed_behind_what_was_moved(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{n}", due=f"+{n}") for n in range(1, 6)))
    queue.client.delete(queue.keys.job("j1"))
    queue.client.set(queue.keys.job("j1"), "not a hash")

    first = queue.send(schedule.promote(queue.keys, ["j1", "j2"], str(NOW + 4), limit=1))
    second = queue.send(schedule.promote(queue.keys, ["j3"], str(NOW + 4), limit=9, skip=1))
    third = queue.send(schedule.promote(queue.keys, ["j4"], str(NOW + 4), skip=1))

    assert first == Moved(["corrupt", "promoted"], Due(["j3"], 0))
    assert second == Moved(["promoted"], Due(["j4"], 1))
    assert third == Moved(["promoted"], Due([], 1))
    assert queue.state().schedule == {"j1": NOW + 1, "j5": NOW + 5}


def test_one_call_moves_only_so_many_bytes(queue: Bench) -> None:
    big = b"x" * 1_500_000
    queue.enqueue(*(new_job(f"j{n}", due=f"+{n}", envelope=big) for n in range(1, 6)))

    moved = queue.send(schedule.promote(queue.keys, [f"j{n}" for n in range(1, 6)], str(NOW + 9)))

    assert moved == Moved(["promoted"] * 3 + ["later"] * 2, Due(["j4", "j5"], None))
    assert queue.state().schedule == {"j4": NOW + 4, "j5": NOW + 5}
