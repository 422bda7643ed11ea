"""Retry: whatever the policy and whatever fails, waits stay within their bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rqueue.errors import ConfigError
from rqueue.retry import Retry

SECONDS = st.floats(0, 366 * 24 * 3600)
POLICIES = st.builds(
    Retry,
    max_attempts=st.integers(1, 1_000_000),
    base=SECONDS,
    cap=SECONDS,
    factor=st.floats(1, 100),
    until=st.none() | SECONDS,
)
ATTEMPTS = st.integers(1, 1_000_000)


@given(POLICIES, ATTEMPTS)
def test_a_bound_is_never_above_the_cap_nor_below_nothing(retry: Retry, attempt: int) -> None:
    assert 0 <= retry.bound(attempt) <= retry.cap


@given(POLICIES, ATTEMPTS)
def test_a_bound_never_falls(retry: Retry, attempt: int) -> None:
    assert retry.bound(attempt) <= retry.bound(attempt + 1)


@given(POLICIES)
def test_the_first_bound_is_the_base_or_the_cap(retry: Retry) -> None:
    assert retry.bound(1) == min(retry.base, retry.cap)


@given(POLICIES, ATTEMPTS, SECONDS)
def test_a_wait_is_within_its_bound_and_its_deadline(
    retry: Retry, attempt: int, age: float
) -> None:
    wait = retry.wait(attempt, age)

    if wait is None:
        is_last = attempt >= retry.max_attempts
        assert is_last or (retry.until is not None and age + retry.bound(attempt) > retry.until)
    else:
        assert 0 <= wait <= retry.bound(attempt)
        assert attempt < retry.max_attempts
        assert retry.until is None or age + wait <= retry.until


@given(POLICIES)
def test_the_numbers_of_a_policy_travel(retry: Retry) -> None:
    assert Retry().with_numbers(retry.numbers()) == retry


@given(
    st.dictionaries(
        st.sampled_from(["max_attempts", "base", "cap", "factor", "until", "on"]) | st.text(),
        st.floats() | st.integers(),
    )
)
def test_any_numbers_of_a_stranger_make_a_policy_or_a_config_error(
    numbers: dict[str, float],
) -> None:
    try:
        retry = Retry().with_numbers(numbers)
    except ConfigError:
        return
    wait = retry.wait(1, 0)
    assert wait is None or 0 <= wait <= retry.cap
    assert pytest.approx(retry.bound(1)) == min(retry.base, retry.cap)
