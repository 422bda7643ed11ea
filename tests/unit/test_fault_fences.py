"""Who may be fenced, as the check of the faults sees it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.evidence import Evidence
from tests.faults.fences import i17_no_healthy_worker_was_fenced
from tests.support.queue_state import QueueState

LEASE_S = 2.0
Lines = list[dict[str, Any]]


def line(event: str, at: float, **told: Any) -> dict[str, Any]:
    return {"event": event, "at": at, "wall": round(at * 1000), **told}


def fenced(at: float, worker: str = "w1-a") -> dict[str, Any]:
    return line("WorkerFenced", at, worker=worker)


def reaped(at: float, worker: str = "w1-a") -> dict[str, Any]:
    return line("WorkerReaped", at, worker=worker, jobs=1)


READY = line("ready", 1.0, name="w1", workers=["w1-a"])
FROZEN, THAWED = line("frozen", 2.0, name="w1"), line("thawed", 6.0, name="w1")
TWICE = [line("frozen", 7.0, name="w1"), line("thawed", 12.0, name="w1")]
AGAIN = line("begin", 7.0, job="j", worker="w1-b", attempt=1, token=2, crashes=0)
WOKEN = {**AGAIN, "at": 12.1}


@pytest.mark.parametrize(
    "lines",
    [
        [READY, FROZEN, reaped(4.5), THAWED, fenced(6.1)],
        [READY, line("killed", 2.0, name="w1"), reaped(4.5)],
        [READY, line("ended", 2.0, name="w1", clean=False), reaped(4.5)],
        [line("killed", 2.0, name="w1"), reaped(4.5)],
        [READY, FROZEN, THAWED, AGAIN, line("killed", 8.0, name="w1"), reaped(11.0, "w1-b")],
        [READY, FROZEN, THAWED, fenced(6.1), *TWICE, fenced(12.1, "w1-b"), reaped(12.2, "w1-b")],
        [READY, FROZEN, THAWED, fenced(6.1), TWICE[0], reaped(9.5, "w1-b"), TWICE[1], WOKEN],
    ],
    ids=[
        "frozen",
        "killed",
        "ended",
        "not heard of",
        "killed after a freeze",
        "frozen again",
        "frozen again before it was heard of",
    ],
)
def test_who_had_a_fault_may_be_fenced(lines: Lines) -> None:
    assert list(i17_no_healthy_worker_was_fenced(Evidence(lines, QueueState(), LEASE_S))) == []


@pytest.mark.parametrize(
    "lines",
    [
        [READY, fenced(4.5)],
        [READY, reaped(4.5)],
        [READY, reaped(4.5), line("ended", 5.0, name="w1", clean=True)],
        [READY, FROZEN, THAWED, AGAIN, fenced(9.0, "w1-b")],
        [READY, FROZEN, THAWED, fenced(30.0)],
    ],
    ids=["told by itself", "told by a reaper", "ended before it noticed", "a new id", "long after"],
)
def test_who_had_none_may_not(lines: Lines) -> None:
    found = i17_no_healthy_worker_was_fenced(Evidence(lines, QueueState(), LEASE_S))

    (worker,) = {one["worker"] for one in lines if one["event"] in ("WorkerFenced", "WorkerReaped")}
    assert [str(one) for one in found] == [f"I17: {worker} was fenced and had no fault"]
