"""What is dubious about schedules is found, and what is not is left in peace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rqueue.redaction import REDACTED
from rqueue.schedules.info import ScheduleInfo
from rqueue.schedules.lint import Finding, findings

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def info(name: str, **changed: Any) -> ScheduleInfo:
    known: dict[str, Any] = {
        "queue": "bank", "task": "pay", "cron": "30 5 * * *", "tz": "UTC", "dst": "once",
        "overlap": "skip", "origin": "api", "is_paused": False, "created": NOW, "next_run": NOW,
        "last_run": None, "last_success": None,
    }  # fmt: skip
    return ScheduleInfo(name=name, **{**known, **changed})


def linted(
    *schedules: ScheduleInfo, run_times: Mapping[str, Sequence[float]] | None = None
) -> list[Finding]:
    return findings(schedules, round(NOW.timestamp() * 1000), run_times or {})


def finding(check: str, text: str, *names: str) -> list[Finding]:
    return [Finding(check=check, schedules=names, text=text)]


def test_the_same_call_at_the_same_times_is_a_duplicate() -> None:
    twins = [info("a", args=(1,)), info("b", args=(1,)), info("c", args=(2,))]

    text = "they make the same call at the same times: delete all but one"
    assert linted(*twins) == finding("duplicate", text, "a", "b")


def test_two_that_follow_each_other_are_no_duplicates() -> None:
    june = datetime(2027, 6, 1, tzinfo=UTC)

    assert linted(info("a", end=june), info("b", start=june)) == []


def test_a_gap_after_the_end_is_none() -> None:
    rome: dict[str, Any] = {"cron": "30 2 * * *", "tz": "Europe/Rome"}

    assert linted(info("a", **rome, end=datetime(2027, 1, 1, tzinfo=UTC))) == []
    assert linted(info("a", **rome, start=datetime(2027, 4, 1, tzinfo=UTC))) == []


def test_calls_whose_arguments_are_veiled_are_no_duplicates() -> None:
    assert linted(info("a", args=(REDACTED,)), info("b", args=(REDACTED,))) == []
    assert linted(info("a", kwargs={"x": REDACTED}), info("b", kwargs={"x": REDACTED})) == []


def test_a_paused_schedule_is_left_in_peace() -> None:
    paused = {"is_paused": True, "next_run": None}

    assert linted(info("a"), info("b", **paused), info("c", problem="no", **paused)) == []


def test_eleven_in_one_second_are_a_crowd_and_ten_are_none() -> None:
    eleven = [info(f"s{n:02}", args=(n,)) for n in range(11)]

    text = "11 fire in one second, 2026-11-27 05:30:00Z: spread them with jitter='1m'"
    assert linted(*eleven) == finding("crowd", text, *(one.name for one in eleven))
    assert linted(*eleven[:10]) == []


def test_a_crowd_that_comes_again_is_told_once() -> None:
    (crowd,) = linted(*(info(f"s{n:02}", args=(n,), cron="0 * * * *") for n in range(11)))

    assert crowd.text == (
        "11 fire in one second, 2026-11-26 12:00:00Z and 24 times more within a day: "
        "spread them with jitter='1m'"
    )


def test_jitter_spreads_a_crowd() -> None:
    assert linted(*(info(f"s{n:02}", args=(n,), jitter_s=3600) for n in range(11))) == []


def test_a_period_shorter_than_the_run_time_is_told_with_what_overlaps_do() -> None:
    often = info("often", cron="", every_s=60, tz="", dst="")

    text = (
        "it ticks every 60 s, but runs for 90.0 s (p95 of 20): with overlap 'skip' ticks are "
        "dropped while a run goes on"
    )
    assert linted(often, run_times={"often": [90.0] * 2 + [1.0] * 18}) == (
        finding("slow", text, "often")
    )
    assert linted(often, run_times={"often": [90.0] + [1.0] * 19}) == []


def test_a_time_that_the_clock_jumps_over_is_told_with_the_rule() -> None:
    rome = {"cron": "30 2 * * *", "tz": "Europe/Rome"}
    head = "on 2027-03-28 the clock of Europe/Rome jumps over its time: "

    once = "dst 'once' fires it at 03:00, when the clock jumps"
    assert linted(info("a", **rome)) == finding("gap", head + once, "a")
    assert linted(info("a", **rome, dst="skip")) == (
        finding("gap", f"{head}dst 'skip' drops that tick", "a")
    )


def test_neither_another_time_nor_a_period_falls_into_a_gap() -> None:
    assert linted(info("a", cron="30 3 * * *", tz="Europe/Rome")) == []
    assert linted(info("a", cron="*/5 * * * *", tz="Europe/Rome", dst="both")) == []


def test_a_schedule_that_is_over_and_one_with_a_problem_are_told() -> None:
    over = "it never fires again: delete it, or give it a later end"

    assert linted(info("a", next_run=None)) == finding("over", over, "a")
    assert linted(info("a", next_run=None, problem="bad")) == finding("problem", "bad", "a")
