"""Watch: who is dead, by one monotonic clock. Every sentence of its rule is a test here."""

from __future__ import annotations

import math

import pytest

from rqueue.worker.lease import COUNTER_STEP, first_counter, new_worker_id
from rqueue.worker.watch import REAPERS, Watch, is_reaper, lease_of

LEASE, GAP, LOOK = 6.0, 2.0, 1.0


class Eyes:
    """A reaper that looks at times the test says."""

    def __init__(self) -> None:
        self.watch = Watch(LEASE, GAP)

    def look(self, at: float, slow: float = 0.0, **leases: float) -> list[str]:
        """Look at ``at``; the answer takes ``slow`` seconds."""
        return [worker for worker, _ in self.watch.look(leases, at, at + slow)]

    def looks(self, start: float, end: float, **leases: float) -> dict[float, list[str]]:
        """A look each second; those that found somebody dead."""
        found: dict[float, list[str]] = {}
        at = start
        while at <= end:
            if dead := self.look(at, **leases):
                found[at] = dead
            at += LOOK
        return found


@pytest.fixture
def eyes() -> Eyes:
    return Eyes()


def test_a_value_that_has_not_changed_for_a_lease_is_dead(eyes: Eyes) -> None:
    assert eyes.looks(0, 7, a=1) == {6: ["a"], 7: ["a"]}


def test_it_is_named_with_the_value_it_was_seen_at(eyes: Eyes) -> None:
    eyes.looks(0, 5, a=41)

    assert eyes.watch.look({"a": 41}, 6, 6) == [("a", 41)]


def test_one_look_condemns_nobody(eyes: Eyes) -> None:
    assert eyes.look(1_000_000, a=1, b=2) == []


def test_a_worker_that_renews_within_a_lease_is_never_dead(eyes: Eyes) -> None:
    for second in range(100):
        assert eyes.look(second, a=second // 5) == []


def test_any_change_is_a_sign_of_life_also_a_smaller_value(eyes: Eyes) -> None:
    eyes.looks(0, 5, a=9)

    assert eyes.look(6, a=1) == []
    assert eyes.looks(7, 12, a=1) == {12: ["a"]}


def test_the_time_is_counted_from_the_look_that_first_showed_the_value(eyes: Eyes) -> None:
    eyes.looks(0, 3, a=1)
    eyes.look(4, a=2)

    assert eyes.looks(5, 10, a=2) == {10: ["a"]}


def test_a_slow_answer_does_not_lengthen_the_span(eyes: Eyes) -> None:
    # Sent at 0, answered at 1.5: the value may be as young as 1.5.
    eyes.look(0, slow=1.5, a=1)

    assert eyes.looks(2, 8, a=1) == {8: ["a"]}


def test_the_span_ends_when_the_last_look_was_sent_not_when_it_was_answered(eyes: Eyes) -> None:
    eyes.looks(0, 4, a=1)

    assert eyes.look(5.9, slow=0.1, a=1) == []
    assert eyes.look(6.5, slow=0.1, a=1) == ["a"]


def test_workers_are_watched_each_on_its_own(eyes: Eyes) -> None:
    eyes.looks(0, 2, a=1)
    eyes.look(3, a=1, b=1)
    eyes.look(4, a=1, b=1)
    eyes.look(5, a=1, b=2)

    assert eyes.look(6, a=1, b=2, c=1) == ["a"]


def test_a_worker_that_left_is_forgotten(eyes: Eyes) -> None:
    eyes.looks(0, 3, a=1)
    eyes.look(4)

    assert eyes.looks(5, 10, a=1) == {}
    assert eyes.look(11, a=1) == ["a"]


def test_after_a_gap_nothing_seen_before_counts(eyes: Eyes) -> None:
    eyes.looks(0, 5, a=1)

    assert eyes.look(5 + GAP + 0.1, a=1) == []


def test_after_a_gap_two_leases_are_asked_for(eyes: Eyes) -> None:
    eyes.looks(0, 5, a=1)

    assert eyes.looks(100, 112, a=1) == {112: ["a"]}


def test_after_a_gap_a_worker_that_was_heard_once_is_measured_by_one_lease(eyes: Eyes) -> None:
    eyes.looks(0, 5, a=1)
    eyes.looks(100, 101, a=1)

    assert eyes.looks(102, 109, a=2) == {108: ["a"], 109: ["a"]}


def test_a_worker_that_came_after_the_gap_is_measured_by_one_lease(eyes: Eyes) -> None:
    eyes.look(0, a=1)
    eyes.look(100, a=1)

    assert eyes.looks(101, 107, a=1, b=1) == {107: ["b"]}


def test_a_gap_that_is_just_small_enough_is_none(eyes: Eyes) -> None:
    for second in (0, 2, 4):
        assert eyes.look(second, a=1) == []

    assert eyes.look(6, a=1) == ["a"]


def test_a_gap_within_the_gap_asks_for_two_leases_again(eyes: Eyes) -> None:
    eyes.look(0, a=1)
    eyes.looks(10, 15, a=1)
    eyes.look(20, a=1)

    assert eyes.looks(21, 32, a=1) == {32: ["a"]}


def test_a_slow_answer_counts_towards_the_gap(eyes: Eyes) -> None:
    eyes.looks(0, 5, a=1)

    assert eyes.look(6, slow=1.5, a=1) == []


def test_a_queue_has_at_most_five_reapers_however_many_workers() -> None:
    leases = {new_worker_id("w"): 1.0 for _ in range(200)}

    assert sum(is_reaper(worker, leases) for worker in leases) == REAPERS == 5


def test_every_one_of_few_workers_reaps() -> None:
    leases = {new_worker_id("w"): 1.0 for _ in range(5)}

    assert all(is_reaper(worker, leases) for worker in leases)


def test_a_worker_without_a_lease_does_not_reap() -> None:
    assert not is_reaper("gone", {"a": 1.0})


def test_the_choice_of_reapers_hardly_changes_when_others_come() -> None:
    leases = {f"w{n}": 1.0 for n in range(100)}
    before = {worker for worker in leases if is_reaper(worker, leases)}

    leases |= {f"new{n}": 1.0 for n in range(5)}
    after = {worker for worker in leases if is_reaper(worker, leases)}

    assert len(before & after) >= 3


def test_a_worker_is_judged_by_its_own_lease_not_by_the_reapers(eyes: Eyes) -> None:
    longer, shorter = first_counter(2 * LEASE), first_counter(LEASE / 2)

    assert eyes.looks(0, 13, a=longer) == {12: ["a"], 13: ["a"]}
    assert eyes.looks(20, 24, b=shorter) == {}  # after a gap two of its leases are asked for
    assert eyes.looks(25, 27, b=shorter) == {26: ["b"], 27: ["b"]}


def test_a_lease_is_told_by_every_counter_of_a_worker() -> None:
    counter = first_counter(0.3)

    assert {lease_of(counter + n * COUNTER_STEP, 9) for n in range(100)} == {0.3}
    assert lease_of(7, 9) == 9


def test_a_patient_watcher_waits_twice_as_long(eyes: Eyes) -> None:
    looks = {at: eyes.watch.look({"a": 1}, at, at, 2) for at in range(13)}

    assert [at for at, dead in looks.items() if dead] == [12]


@pytest.mark.parametrize("counter", [math.inf, -math.inf, -1.0, 0.0])
def test_a_strangers_lease_is_judged_like_one_that_does_not_say(counter: float) -> None:
    assert lease_of(counter, 15) == 15


def test_a_watcher_tells_when_somebody_can_be_dead_at_the_earliest(eyes: Eyes) -> None:
    assert eyes.watch.due(0) == math.inf
    eyes.look(0, a=1)
    eyes.look(1, slow=0.5, a=1, b=first_counter(LEASE / 2))

    assert (eyes.watch.due(1), eyes.watch.due(1, patience=2)) == (1.5 + LEASE / 2, 1.5 + LEASE)
    eyes.look(2, a=1)
    assert eyes.watch.due(2) == LEASE


def test_who_is_dead_already_makes_nobody_look_sooner(eyes: Eyes) -> None:
    """A stranger's lease that cannot be taken away, or one that nobody could take in time."""
    eyes.looks(0, 5, a=1)
    eyes.look(5, a=1, b=1)

    assert eyes.look(6, a=1, b=1) == ["a"]
    assert eyes.watch.due(6) == 5 + LEASE
