"""Retry: when a failed job runs again."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rqueue.errors import ConfigError
from rqueue.retry import Retry

ALWAYS = [0.0, 1.0]


class Draws:
    """Chance that always draws the end of the range that the test asks for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end = 1.0
        monkeypatch.setattr("rqueue.retry.random.uniform", self.uniform)

    def uniform(self, low: float, high: float) -> float:
        return low + self.end * (high - low)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Draws:
    return Draws(monkeypatch)


def test_the_bounds_grow_by_the_factor_up_to_the_cap() -> None:
    retry = Retry(base=1, factor=3, cap=20)

    assert [retry.bound(attempt) for attempt in range(1, 6)] == [1, 3, 9, 20, 20]


def test_the_bound_of_a_late_attempt_is_the_cap() -> None:
    assert Retry(max_attempts=1_000_000).bound(999_999) == 600


def test_without_a_base_there_is_no_wait_however_late_the_attempt() -> None:
    retry = Retry(max_attempts=1_000_000, base=0)

    assert [retry.bound(attempt) for attempt in (1, 100, 5000)] == [0, 0, 0]


def test_a_wait_is_drawn_from_nothing_to_the_bound(draws: Draws) -> None:
    retry = Retry(base=8)
    drawn: list[float | None] = []
    for draws.end in (0.0, 0.5, 1.0):
        drawn.append(retry.wait(2, 0))

    assert drawn == [0, 8, 16]


def test_the_last_attempt_is_not_followed_by_another() -> None:
    retry = Retry(max_attempts=3, base=0)

    assert [retry.wait(attempt, 0) for attempt in (1, 2, 3, 4)] == [0, 0, None, None]


def test_nothing_is_tried_again_after_the_deadline(draws: Draws) -> None:
    retry = Retry(base=10, until=60)

    assert [retry.wait(1, age) for age in (0, 50, 50.1, 1000)] == [10, 10, None, None]


def test_every_exception_is_retried_unless_it_is_named() -> None:
    assert Retry().allows(ValueError())
    assert Retry().allows(SystemExit())


def test_never_names_exceptions_with_their_subclasses() -> None:
    retry = Retry(never=(LookupError,))

    assert (retry.allows(KeyError()), retry.allows(ValueError())) == (False, True)


def test_on_names_the_only_exceptions_that_are_retried() -> None:
    retry = Retry(on=(LookupError,))

    assert (retry.allows(KeyError()), retry.allows(ValueError())) == (True, False)


def test_never_wins_over_on() -> None:
    retry = Retry(on=(LookupError,), never=(KeyError,))

    assert (retry.allows(KeyError()), retry.allows(IndexError())) == (False, True)


def test_only_what_differs_from_the_default_travels() -> None:
    assert Retry(on=(ValueError,)).numbers() == {}
    assert Retry(max_attempts=2, until=9).numbers() == {"max_attempts": 2, "until": 9}


def test_numbers_that_travelled_replace_the_tasks_own_and_leave_its_exceptions() -> None:
    declared = Retry(max_attempts=9, base=3, never=(KeyError,))

    assert declared.with_numbers({"max_attempts": 2.0}) == Retry(max_attempts=2, never=(KeyError,))


@pytest.mark.parametrize(
    "numbers",
    [
        {"max_attempts": 0},
        {"max_attempts": math.nan},
        {"max_attempts": math.inf},
        {"max_attempts": 1e300},
        {"base": -1},
        {"cap": math.inf},
        {"factor": math.nan},
        {"until": -1},
        {"on": 1},
        {"nonsense": 1},
    ],
)
def test_hostile_numbers_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Retry().with_numbers(numbers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_attempts": -1},
        {"max_attempts": True},
        {"max_attempts": 2.5},
        {"max_attempts": None},
        {"max_attempts": 1_000_001},
        {"base": -0.1},
        {"base": True},
        {"base": "1"},
        {"base": math.nan},
        {"base": math.inf},
        {"cap": -1},
        {"cap": None},
        {"cap": 1e12},
        {"until": -1},
        {"until": math.nan},
        {"until": "noon"},
        {"factor": 0.5},
        {"factor": 101},
        {"factor": math.nan},
        {"factor": "2"},
        {"on": ("ValueError",)},
        {"on": "ValueError"},
        {"never": (1,)},
        {"never": (int,)},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Retry(**wrong)
