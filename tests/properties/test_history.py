"""Percentiles of the history keep within the error that is said of them, whoever counted."""

from __future__ import annotations

from bisect import bisect_left
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rqueue.config import Buckets
from rqueue.history import (
    BOUNDS_S,
    DAY_S,
    HOUR_MS,
    KEPT_S,
    MINUTE_MS,
    RUN,
    RUN_US,
    Counts,
    Period,
    periods,
    read,
    write,
)
from rqueue.stats import ERROR, percentile, task_stats
from rqueue.worker.scale import Scale
from rqueue.worker.tally import Histogram

SECONDS = st.floats(0, 200_000, allow_nan=False)
BOUNDS = st.lists(st.floats(0.0001, 5000), min_size=1, max_size=50, unique=True).map(sorted)
NAMES = st.sampled_from(["s", "f", "u", "r0", "r7", "r8", "r80", "w1", "w81"])
COUNTS = st.dictionaries(NAMES, st.integers(1, 10**12))


def counted(scale: Scale, seconds: list[float]) -> Histogram:
    found = Histogram.empty(scale.bounds)
    for one in seconds:
        found.counts[bisect_left(scale.bounds, one)] += 1
        found.sum += one
    return found


@given(st.lists(SECONDS, min_size=1, max_size=200), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_off_by_no_more_than_is_said(seconds: list[float], percent: int) -> None:
    scale = Scale(Buckets().run)
    held = scale.kept(counted(scale, seconds))
    exact = sorted(seconds)[ceil(percent * len(seconds) / 100) - 1]

    about = percentile([held.get(n, 0) for n in range(len(BOUNDS_S) + 1)], percent)

    assert about is not None
    if exact <= BOUNDS_S[0]:
        assert about == BOUNDS_S[0]
    elif exact > BOUNDS_S[-1]:
        assert about == BOUNDS_S[-1]
    else:
        assert abs(about - exact) <= ERROR * exact


@given(st.lists(SECONDS, max_size=50), BOUNDS)
def test_counted_once_it_is_right_in_the_buckets_shown_and_in_those_kept(
    seconds: list[float], bounds: list[float]
) -> None:
    scale = Scale(bounds)
    fine = counted(scale, seconds)

    shown = [bisect_left(bounds, one) for one in seconds]
    kept = [bisect_left(BOUNDS_S, one) for one in seconds]
    assert scale.shown([fine]).counts == [shown.count(n) for n in range(len(bounds) + 1)]
    assert scale.kept(fine) == {n: kept.count(n) for n in sorted(set(kept))}


@given(COUNTS)
def test_what_is_written_is_read(counts: Counts) -> None:
    assert read(write(counts).encode()) == counts


@pytest.mark.parametrize(
    "text",
    [b"", b"s", b"s=", b"=1", b"S=1", b"s=-1", b"r100=1", b"s=1x", b"\xff", b"s=" + b"9" * 16],
)
def test_what_a_stranger_wrote_is_passed_over(text: bytes) -> None:
    assert read(text + b" f=2") == {"f": 2}


@given(st.integers(1_700_000_000_000, 1_800_000_000_000), st.floats(60, KEPT_S))
def test_the_periods_cover_the_time_that_is_asked_for_without_a_gap(
    now_ms: int, since_s: float
) -> None:
    found = periods(now_ms, since_s)

    begin_ms = now_ms - round(since_s * 1000)
    slack_ms = MINUTE_MS if since_s <= DAY_S else HOUR_MS
    assert 0 <= begin_ms - found[0].at_ms < slack_ms
    assert [one.at_ms + one.ms for one in found[:-1]] == [one.at_ms for one in found[1:]]
    assert found[-1].at_ms <= now_ms < found[-1].at_ms + found[-1].ms
    assert all(one.at_ms % one.ms == 0 for one in found)
    assert len(found) <= 182
    # Only what is still there is asked for: minutes of 25 hours, hours of 170.
    kept_ms = {MINUTE_MS: 25 * HOUR_MS, HOUR_MS: 170 * HOUR_MS}
    assert all(now_ms - one.at_ms < kept_ms[one.ms] for one in found)


def test_the_mean_is_exact_and_the_rate_is_over_all_the_time() -> None:
    at_ms = 1_700_000_040_000
    found = [
        (Period(at_ms, MINUTE_MS), {"s": 2, RUN_US: 1_000_003, f"{RUN}3": 2}),
        (Period(at_ms + MINUTE_MS, MINUTE_MS), {"s": 1, "f": 1, RUN_US: 2, f"{RUN}0": 1}),
    ]

    told = task_stats("q", "t", found, at_ms + 90_000)

    assert (told.run.count, told.run.mean_s) == (3, 1_000_005 / 1e6 / 3)
    assert (told.ended, told.ended_per_minute, told.failure_rate) == (3, 2.0, 0.25)
    assert [(slot.ended, slot.failed) for slot in told.slots] == [(2, 0), (1, 1)]
