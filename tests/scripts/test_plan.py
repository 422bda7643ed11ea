"""plan: a schedule is put, changed, paused or resumed."""

from __future__ import annotations

import msgspec
import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import cron
from tests.scripts.test_fire import plan_after
from tests.support.bench import NIGHTLY, Bench
from tests.support.queue_state import DAY, NOW, QueueState

AS_PUT = {"mark": NOW - DAY, "next": NOW - 1000, "next_due": NOW - 400, "last_run": None}


def test_a_new_schedule_is_listed_and_due_at_its_next_tick(queue: Bench) -> None:
    with queue.listening(queue.keys.wake) as heard:
        assert queue.plan() == "planned"

    assert queue.state() == QueueState(
        cron={"nightly": NOW - 400}, plans={"nightly": plan_after(**AS_PUT)}
    )
    assert heard == [(queue.keys.wake, str(NOW - 400))]


def test_the_same_again_changes_nothing(queue: Bench) -> None:
    queue.plan()
    before = queue.exact()

    assert queue.plan() == "unchanged"
    assert queue.plan(seen="r1", is_timed=False) == "unchanged"

    assert queue.exact() == before


def test_another_definition_goes_on_where_the_schedule_was(queue: Bench) -> None:
    queue.plan()
    changed = msgspec.structs.replace(
        NIGHTLY, definition=b"another", revision="r2", mark_ms=1, next_ms=2, due_ms=3
    )

    assert queue.plan(changed, seen="r1", is_timed=False, now=str(NOW + 5)) == "planned"

    assert queue.state() == QueueState(
        cron={"nightly": NOW - 400},
        plans={"nightly": plan_after(**AS_PUT, definition="another", revision="r2")},
    )


def test_other_ticks_begin_anew(queue: Bench) -> None:
    queue.plan()
    changed = msgspec.structs.replace(
        NIGHTLY, revision="r2", mark_ms=NOW, next_ms=NOW + 5, due_ms=NOW + 6
    )

    assert queue.plan(changed, seen="r1") == "planned"

    anew = AS_PUT | {"mark": NOW, "next": NOW + 5, "next_due": NOW + 6}
    assert queue.state() == QueueState(
        cron={"nightly": NOW + 6}, plans={"nightly": plan_after(**anew, revision="r2")}
    )


@pytest.mark.parametrize("seen", ["", "r0"])
def test_a_schedule_that_another_has_put_meanwhile_is_not_overwritten(
    queue: Bench, seen: str
) -> None:
    queue.plan()
    before = queue.exact()

    changed = msgspec.structs.replace(NIGHTLY, revision="r2")
    assert queue.plan(changed, seen=seen) == "changed"

    assert queue.exact() == before


def test_who_is_paused_is_listed_and_never_due(queue: Bench) -> None:
    queue.plan()
    paused = msgspec.structs.replace(NIGHTLY, is_paused=True)

    with queue.listening(queue.keys.wake) as heard:
        assert queue.plan(paused, seen="r1", is_timed=False) == "planned"

    assert queue.state() == QueueState(
        cron={"nightly": float("inf")}, plans={"nightly": plan_after(**AS_PUT, paused=1)}
    )
    assert heard == []


def test_who_is_paused_meanwhile_stays_so_through_a_change(queue: Bench) -> None:
    queue.plan(msgspec.structs.replace(NIGHTLY, is_paused=True))
    changed = msgspec.structs.replace(NIGHTLY, revision="r2", mark_ms=NOW, next_ms=NOW + 5)

    assert queue.plan(changed, seen="r1", is_turned=False) == "planned"

    plan = queue.planned()
    assert (plan.is_paused, plan.revision, plan.next_ms) == (True, "r2", NOW + 5)
    assert queue.state().cron == {"nightly": float("inf")}


def test_who_goes_on_is_due_again(queue: Bench) -> None:
    queue.plan(msgspec.structs.replace(NIGHTLY, is_paused=True))
    resumed = msgspec.structs.replace(NIGHTLY, mark_ms=NOW, next_ms=NOW + 1, due_ms=NOW + 2)

    assert queue.plan(resumed, seen="r1") == "planned"

    anew = AS_PUT | {"mark": NOW, "next": NOW + 1, "next_due": NOW + 2}
    assert queue.state() == QueueState(
        cron={"nightly": NOW + 2}, plans={"nightly": plan_after(**anew)}
    )


@pytest.mark.parametrize("key", ["cron", "plan"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    wrong = queue.keys.cron if key == "cron" else queue.keys.plan("nightly")
    queue.client.set(wrong, "of a wrong type")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        queue.plan()

    assert queue.exact() == before


def test_a_schedule_reads_as_it_was_put(queue: Bench) -> None:
    queue.plan()

    assert queue.planned() == msgspec.structs.replace(NIGHTLY, created_ms=NOW)
    assert queue.send(cron.read(queue.keys, "another")) is None
