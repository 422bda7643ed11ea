"""How many replicas there should be: for a moment, over a while, and over a whole day."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import day
from benchmarks.day import BURST, DAY_S, POLL_S, START_S, TARGET_S, Second
from rqueue.scaling import Hold, desired, slots_of_each, slots_of_one, working


@pytest.mark.parametrize(
    ("jobs", "slots", "age_s", "target_s", "replicas"),
    [
        (0, 100, 0, None, 0),
        (1, 100, 0, None, 1),
        (80, 100, 0, None, 1),
        (81, 100, 0, None, 2),
        (160, 10, 9999, None, 20),
        (160, 10, 4, 5, 20),
        (160, 10, 10, 5, 40),
        (160, 10, 12, 5, 48),
        (160, 10, 9999, 5, 80),
        (3, 1, 9999, 1, 3),
        (2, 100, 9999, 1, 2),
    ],
)
def test_replicas_are_enough_for_the_jobs_and_more_while_they_are_late(
    jobs: int, slots: int, age_s: float, target_s: float | None, replicas: int
) -> None:
    assert desired(jobs, slots, age_s, target_s) == replicas


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), min_size=1))
def test_a_demand_falls_when_it_was_lower_for_the_whole_hold(
    looks: list[tuple[int, int]],
) -> None:
    hold, now, seen = Hold(100), 0, list[tuple[int, int]]()
    for pause, wanted in looks:
        now += pause
        seen.append((now, wanted))

        highest = max(one for at, one in seen if at >= now - 100)
        assert hold.held("q", wanted, now) == highest
        assert hold.held("other", 0, now) == 0


def test_names_that_nobody_asks_for_any_more_are_forgotten() -> None:
    hold = Hold(100)
    for second in range(1000):
        hold.held(f"q{second}", 1, second)

    assert len(hold._seen) <= 102


CARDS = {
    "w1": {"queues": ["mail", "default"], "concurrency": 50},
    "w2": {"queues": ["default"], "concurrency": 20},
    "broken": {},
    "strange": {"queues": "default", "concurrency": "many"},
    "hostile": {"queues": [["default"], "mail"], "concurrency": -5},
    "yes": {"queues": ["mail"], "concurrency": True},
    "p1": {"queues": ["reports"], "concurrency": 5, "processes": 4},
    "p2": {"queues": ["reports", "photos"], "concurrency": 30, "processes": 1},
    "p3": {"queues": ["photos"], "concurrency": 9, "processes": -3},
    "p4": {"queues": ["photos"], "concurrency": 8, "processes": 10**9},
}


def test_slots_are_those_of_the_workers_that_serve_the_queue() -> None:
    assert [slots_of_each(CARDS, queues) for queues in (["mail"], ["default"], ["none"])] == [
        [50], [50, 20], [],
    ]  # fmt: skip
    assert [slots_of_one(CARDS, queues) for queues in (["default"], ["none"])] == [20, 100]


def test_a_replica_is_all_processes_that_come_and_go_together() -> None:
    assert slots_of_each(CARDS, ["reports"]) == [5, 30]
    assert [slots_of_one(CARDS, [queue]) for queue in ("reports", "photos")] == [20, 8]


def test_who_has_no_lease_or_takes_nothing_offers_no_slots() -> None:
    cards = {name: {"state": "working"} for name in ("here", "dead")}
    cards |= {"quiet": {"state": "quiet"}, "old": {}}

    assert working(cards, {"here", "quiet", "old"}).keys() == {"here", "old"}


@cache
def played(hold_s: float) -> list[Second]:
    return day.play(hold_s)


def changes(seconds: list[Second]) -> int:
    return sum(one.replicas != other.replicas for one, other in pairwise(seconds))


def test_over_a_day_jobs_wait_no_longer_than_they_should_but_for_starts_and_bursts() -> None:
    first = next(at for at, one in enumerate(played(300)) if one.arrived)
    for at, one in enumerate(played(300)):
        is_hard = first <= at < first + POLL_S + START_S or BURST[0] <= at < BURST[1] + START_S
        bound = POLL_S + START_S + 1 if is_hard else TARGET_S
        assert (one.waited_s or 0) <= bound, at


def test_over_a_day_all_jobs_run_and_at_night_there_is_nobody() -> None:
    seconds = played(300)

    assert [seconds[hour * 3600].replicas for hour in (0, 3, 5, 23)] == [0, 0, 0, 0]
    assert seconds[DAY_S // 2].replicas in range(12, 17)


def test_the_hold_spares_nine_changes_in_ten() -> None:
    assert changes(played(300)) * 10 < changes(played(0))
