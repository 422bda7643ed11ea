"""What a scheduler does with the ticks since the last one, by every policy; and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rqueue.errors import CodecError, ConfigError
from rqueue.schedule import (
    LATE_MS,
    Schedule,
    Step,
    check,
    decode,
    encode,
    first_tick,
    next_step,
    tick_name,
)

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
EACH_MINUTE = Schedule(name="s", queue="q", task="t", every_s=60)


def step(mark: int, now: int, **policy: Any) -> Step | None:
    schedule = msgspec.structs.replace(EACH_MINUTE, **policy)
    return next_step(schedule, schedule.ticks(), mark, now)


@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_a_tick_that_is_due_runs_and_one_before_its_time_does_not(missed: str) -> None:
    assert step(0, MINUTE - 1, missed=missed) is None
    assert step(0, MINUTE, missed=missed) == Step("run", MINUTE, 0, 2 * MINUTE)
    assert step(MINUTE, 2 * MINUTE - 1, missed=missed) is None


def test_of_several_the_latest_runs_and_stands_for_those_before() -> None:
    assert step(0, 5 * MINUTE + 7) == Step("run", 5 * MINUTE, MINUTE, 6 * MINUTE)
    assert step(0, 500 * DAY + 7) == Step("run", 500 * DAY, MINUTE, 500 * DAY + MINUTE)


def test_all_run_one_after_the_other() -> None:
    assert step(0, 3 * MINUTE, missed="all") == Step("run", MINUTE, 0, 2 * MINUTE)
    assert step(MINUTE, 3 * MINUTE, missed="all") == Step("run", 2 * MINUTE, 0, 3 * MINUTE)
    assert step(2 * MINUTE, 3 * MINUTE, missed="all") == Step("run", 3 * MINUTE, 0, 4 * MINUTE)


def test_no_more_than_the_cap_are_made_up_for_and_the_oldest_are_dropped() -> None:
    capped: dict[str, Any] = {"missed": "all", "missed_cap": 3}

    assert step(0, 10 * MINUTE, **capped) == Step("run", 8 * MINUTE, MINUTE, 9 * MINUTE)
    assert step(8 * MINUTE, 10 * MINUTE, **capped) == Step("run", 9 * MINUTE, 0, 10 * MINUTE)
    assert step(0, 900 * DAY, **capped) == Step(
        "run", 900 * DAY - 2 * MINUTE, MINUTE, 900 * DAY - MINUTE
    )


def test_skipped_ticks_are_passed_over() -> None:
    hourly: dict[str, Any] = {"every_s": 3600, "missed": "skip"}
    hour = 60 * MINUTE

    assert step(0, hour + LATE_MS, **hourly) == Step("run", hour, 0, 2 * hour)
    assert step(0, hour + LATE_MS + 1, **hourly) == Step("pass", hour, hour, 2 * hour)
    assert step(0, 3 * hour + 1, **hourly) == Step("run", 3 * hour, hour, 4 * hour)
    assert step(0, 3 * hour + LATE_MS + 1, **hourly) == Step("pass", 3 * hour, hour, 4 * hour)


@pytest.mark.parametrize("missed", ["latest", "all"])
def test_what_is_older_than_the_window_is_not_made_up_for(missed: str) -> None:
    policy: dict[str, Any] = {"every_s": 3600, "missed": missed, "catch_up_s": 600}
    hour = 60 * MINUTE

    assert step(0, 2 * hour + 10 * MINUTE, **policy) == Step("run", 2 * hour, hour, 3 * hour)
    assert step(0, 2 * hour + 11 * MINUTE, **policy) == Step("pass", 2 * hour, hour, 3 * hour)


def test_jitter_delays_every_tick_by_the_same_and_counts_as_no_delay() -> None:
    jittery = msgspec.structs.replace(EACH_MINUTE, jitter_s=30, missed="skip")
    late = jittery.jitter_ms
    assert 0 < late < 30_000
    assert late == msgspec.structs.replace(jittery, task="other").jitter_ms
    assert late != msgspec.structs.replace(jittery, name="z").jitter_ms

    assert next_step(jittery, jittery.ticks(), 0, MINUTE + late - 1) is None
    assert next_step(jittery, jittery.ticks(), 0, MINUTE + late) == Step(
        "run", MINUTE, 0, 2 * MINUTE
    )


def test_no_tick_is_before_the_start_or_after_the_end() -> None:
    bounded = msgspec.structs.replace(EACH_MINUTE, start_ms=2 * MINUTE, end_ms=4 * MINUTE + 1)
    ticks = bounded.ticks()

    assert first_tick(bounded, ticks, 0) == 2 * MINUTE
    assert first_tick(bounded, ticks, 4 * MINUTE) == 0
    assert next_step(bounded, ticks, 0, 2 * MINUTE - 1) is None
    assert next_step(bounded, ticks, 3 * MINUTE, 9 * MINUTE) == Step("run", 4 * MINUTE, 0, 0)
    assert next_step(bounded, ticks, 4 * MINUTE, 9 * MINUTE) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "a b"}, "schedule name 'a b' is not allowed"),
        ({"name": "x" * 81}, "is not allowed"),
        ({"queue": "a{b"}, "queue name"),
        ({"task": "1"}, "task name"),
        ({"every_s": 0}, "give a cron expression or a period"),
        ({"cron": "* * * * *"}, "give a cron expression or a period"),
        ({"every_s": 0.5}, "from 1 second"),
        ({"every_s": 0, "cron": "61 * * * *"}, "the minute '61'"),
        ({"every_s": 0, "cron": "* * * * *", "tz": "Europe/Roma"}, "did you mean 'Europe/Rome'"),
        ({"missed": "some"}, "missed 'some' is not one of skip, latest, all"),
        ({"overlap": "x"}, "overlap 'x' is not one of skip, queue, cancel_running, allow"),
        ({"overlap": "queue", "missed": "skip"}, "would queue nothing"),
        ({"dst": "x"}, "dst 'x' is not one of once, skip, both"),
        ({"missed_cap": 0}, "missed_cap 0 must be"),
        ({"jitter_s": 90_000}, "jitter 90000 must be"),
        ({"catch_up_s": -1}, "catch_up -1 must be"),
        ({"start_ms": 5, "end_ms": 4}, "ends before it starts"),
    ],
)
def test_what_no_schedule_can_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(msgspec.structs.replace(EACH_MINUTE, **changes))

    assert said in str(refused.value)


def test_a_schedule_survives_being_kept() -> None:
    schedule = msgspec.structs.replace(EACH_MINUTE, envelope=b"call", jitter_s=3, missed="all")

    assert decode(encode(schedule)) == schedule
    for wrong in (b"", b"\xc1", b"\x80", encode(schedule)[:-1]):
        with pytest.raises(CodecError, match="not a schedule"):
            decode(wrong)


def test_two_definitions_have_two_revisions_and_another_key_gives_others() -> None:
    other = msgspec.structs.replace(EACH_MINUTE, envelope=b"x")

    assert len({EACH_MINUTE.revision(b"a"), EACH_MINUTE.revision(b"b"), other.revision(b"a")}) == 3
    assert EACH_MINUTE.revision(b"a") == EACH_MINUTE.revision(b"a")


def test_a_job_is_named_by_its_tick() -> None:
    assert tick_name("nightly", 1_795_658_400_000) == "nightly@2026-11-26T02:00:00Z"
