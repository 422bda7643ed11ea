"""fire: a tick of a schedule makes its job, or passes without one; once, whoever comes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rqueue.store.calls.cron import HISTORY, Fired, Plan, Ticking
from rqueue.store.keys import PlanField
from tests.support.bench import NIGHTLY, TICK, Bench, ending, new_job
from tests.support.queue_state import DAY, NOW, QueueState, entry, queued

AT = NOW - 1000
LATER = msgspec.structs.replace(
    TICK, tick_ms=NOW + DAY, due_ms=NOW + DAY + 600, next_ms=0, next_due_ms=0
)
RAN = Fired("ran", NOW)


def plan_after(**changes: Any) -> dict[str, str]:
    """The schedule once its tick is done."""
    told = {
        "definition": "definition", "revision": "r1", "origin": "api", "paused": "0",
        "mark": AT, "next": NOW + DAY, "next_due": NOW + DAY + 600, "created": NOW,
        "last_run": NOW,
    } | changes  # fmt: skip
    letters = {name.lower(): letter for name, letter in vars(PlanField).items() if name.isupper()}
    return {letters[name]: str(value) for name, value in told.items() if value is not None}


def test_a_tick_that_is_due_makes_its_job(queue: Bench) -> None:
    queue.plan()

    assert queue.fire(NIGHTLY, job=new_job("n@1", priority="high", max_crashes=7)) == RAN

    assert queue.state() == QueueState(
        records={"n@1": queued("high", max_crashes=7)},
        lanes={"high": [entry("n@1", max_crashes=7)]},
        meta={"enqueue": "1", "fire": "1"},
        cron={"nightly": NOW + DAY + 600},
        plans={"nightly": plan_after(last_job="n@1")},
        ran={"nightly": [f"{AT} {NOW} ran 0 n@1"]},
    )


def test_two_schedulers_that_read_the_same_fire_once(queue: Bench) -> None:
    queue.plan()
    read = queue.planned()
    queue.fire(read, job=new_job("n@1"))
    before = queue.exact()

    assert queue.fire(read, job=new_job("n@1")) == Fired("beaten")

    assert queue.exact() == before


def test_a_tick_before_its_time_is_early_by_redis_clock(queue: Bench) -> None:
    queue.plan()
    before = queue.exact()

    assert queue.fire(NIGHTLY, job=new_job("n@1"), now=NOW - 401) == Fired("early", 1)

    assert queue.exact() == before
    assert queue.fire(NIGHTLY, job=new_job("n@1"), now=NOW - 400) == Fired("ran", NOW - 400)


def test_a_tick_that_was_missed_passes_without_a_job(queue: Bench) -> None:
    queue.plan()
    missed = msgspec.structs.replace(TICK, verdict="pass", since_ms=AT - DAY)

    assert queue.fire(NIGHTLY, missed) == Fired("passed", NOW)

    assert queue.state() == QueueState(
        meta={"fire": "1"},
        cron={"nightly": NOW + DAY + 600},
        plans={"nightly": plan_after()},
        ran={"nightly": [f"{AT} {NOW} passed {AT - DAY} "]},
    )


def test_a_schedule_without_a_further_tick_is_never_due_again(queue: Bench) -> None:
    queue.plan()
    last = msgspec.structs.replace(TICK, next_ms=0, next_due_ms=0)

    assert queue.fire(NIGHTLY, last, new_job("n@1")) == RAN

    state = queue.state()
    assert state.cron == {"nightly": float("inf")}
    assert state.plans["nightly"] == plan_after(last_job="n@1", next="", next_due="")


@pytest.mark.parametrize(
    ("overlap", "said"), [("skip", "overlapped"), ("queue", "held"), ("allow", "ran")]
)
@pytest.mark.parametrize("is_running", [True, False])
def test_a_tick_while_the_run_before_goes_on(
    queue: Bench, overlap: str, said: str, is_running: bool
) -> None:
    queue.plan()
    queue.fire(NIGHTLY, job=new_job("n@1"))
    if is_running:
        queue.taken()
    before = queue.exact()

    ticking = msgspec.structs.replace(LATER, overlap=overlap)
    fired = queue.fire(queue.planned(), ticking, new_job("n@2"), now=NOW + 2 * DAY)

    assert fired.said == said
    after = queue.exact()
    if said == "held":
        assert after == before
    else:
        assert ("n@2" in after.records) == (said == "ran")
        assert after.ran["nightly"][0].split()[2] == said
        assert after.cron == {"nightly": float("inf")}
        assert queue.planned().last_job == ("n@2" if said == "ran" else "n@1")


@pytest.mark.parametrize(("verb", "success"), [("complete", NOW), ("bury", 0)])
def test_a_tick_sees_how_the_run_before_ended(queue: Bench, verb: str, success: int) -> None:
    queue.plan()
    queue.fire(NIGHTLY, job=new_job("n@1"))
    queue.finish(ending(queue.taken(), verb))

    assert queue.fire(queue.planned(), LATER, new_job("n@2"), now=NOW + 2 * DAY).said == "ran"

    assert queue.planned().last_success_ms == success


def test_a_job_that_is_there_already_is_taken_for_that_of_the_tick(queue: Bench) -> None:
    queue.plan()
    queue.enqueue(new_job("n@1"))
    before = queue.exact()

    assert queue.fire(NIGHTLY, job=new_job("n@1")) == Fired("taken", NOW)

    after = queue.exact()
    assert (after.records, after.lanes) == (before.records, before.lanes)
    assert after.plans == {"nightly": plan_after(last_job="n@1")}


def test_a_unique_key_that_another_job_holds_lets_the_tick_pass(queue: Bench) -> None:
    queue.plan()
    queue.enqueue(new_job("j1", unique="one"))

    assert queue.fire(NIGHTLY, job=new_job("n@1", unique="one")) == Fired("locked", NOW)

    state = queue.state()
    assert (list(state.records), state.unique) == (["j1"], {"one": "j1"})
    assert state.plans == {"nightly": plan_after()}


def test_a_job_of_a_tick_holds_its_unique_key(queue: Bench) -> None:
    queue.plan()

    assert queue.fire(NIGHTLY, job=new_job("n@1", unique="one")) == RAN

    state = queue.state()
    assert (state.unique, state.records) == ({"one": "n@1"}, {"n@1": queued(unique="one")})


def test_a_run_beside_all_ticks_leaves_them_as_they_are(queue: Bench) -> None:
    queue.plan(msgspec.structs.replace(NIGHTLY, is_paused=True))
    trigger = Ticking(verdict="trigger", tick_ms=NOW)

    assert queue.fire(queue.planned(), trigger, new_job("t")) == RAN

    same = {"mark": NOW - DAY, "next": AT, "next_due": NOW - 400, "paused": 1}
    state = queue.state()
    assert state.plans == {"nightly": plan_after(**same, last_job="t")}
    assert (state.cron, state.meta) == ({"nightly": float("inf")}, {"enqueue": "1", "trigger": "1"})
    assert state.ran == {"nightly": [f"{NOW} {NOW} ran 0 t"]}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, "missing"),
        (msgspec.structs.replace(NIGHTLY, revision="r2"), "changed"),
        (msgspec.structs.replace(NIGHTLY, is_paused=True), "paused"),
        (msgspec.structs.replace(NIGHTLY, mark_ms=NOW - 1000), "beaten"),
    ],
)
def test_a_schedule_that_is_another_than_was_read_does_not_fire(
    queue: Bench, there: Plan | None, said: str
) -> None:
    if there is not None:
        queue.plan(there)
    before = queue.exact()

    assert queue.fire(NIGHTLY, job=new_job("n@1")) == Fired(said)

    assert queue.exact() == before


def test_a_trigger_between_reading_and_firing_is_noticed(queue: Bench) -> None:
    queue.plan()
    read = queue.planned()
    queue.fire(read, Ticking(verdict="trigger", tick_ms=NOW), new_job("t"))
    before = queue.exact()

    assert queue.fire(read, job=new_job("n@1")) == Fired("changed")

    assert queue.exact() == before


def test_a_hundred_ticks_are_remembered(queue: Bench) -> None:
    queue.plan()
    for n in range(HISTORY + 5):
        trigger = Ticking(verdict="trigger", tick_ms=NOW + n)
        assert queue.fire(queue.planned(), trigger, new_job(f"t{n}")).said == "ran"

    lines = queue.state().ran["nightly"]
    assert [line.split()[-1] for line in lines] == [f"t{n}" for n in range(HISTORY + 4, 4, -1)]


@pytest.mark.parametrize("key", ["cron", "plan", "ran", "meta", "stream", "job", "lock"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    queue.plan()
    keys = queue.keys
    wrong = {
        "cron": keys.cron, "plan": keys.plan("nightly"), "ran": keys.ran("nightly"),
        "meta": keys.meta, "stream": keys.stream("normal"), "job": keys.job("n@1"),
        "lock": keys.unique("one"),
    }[key]  # fmt: skip
    queue.client.delete(wrong)
    queue.client.geoadd(wrong, (1, 1, "x")) if key != "cron" else queue.client.set(wrong, "x")
    before = queue.exact()

    assert queue.fire(NIGHTLY, job=new_job("n@1", unique="one")) == Fired("corrupt")

    assert queue.exact() == before


def test_out_of_memory_nothing_fires_and_nothing_is_written(queue: Bench) -> None:
    queue.plan()
    before = queue.exact()
    queue.client.config_set("maxmemory", 1)
    try:
        assert queue.fire(NIGHTLY, job=new_job("n@1")) == Fired("full")
    finally:
        queue.client.config_set("maxmemory", 0)

    assert queue.exact() == before
