"""Limits in time of the jobs that a schedule makes: they count from each tick."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rqueue.app import App
from rqueue.envelope import open_envelope
from rqueue.errors import ConfigError
from rqueue.protection import PLAIN
from rqueue.schedules.making import job_of, scheduled

TICK_MS = 1_900_000_000_000


@App().task
async def report() -> None:
    """Never run."""


def limits(**options: Any) -> tuple[int, int]:
    schedule = scheduled("nightly", report.options(**options).call(), {"every_s": 60})
    made = open_envelope(job_of(schedule, TICK_MS, PLAIN, 10_000).envelope).envelope
    return made.expires, made.deadline


def test_they_count_from_the_tick() -> None:
    assert limits(expires="1m", deadline="1h") == (TICK_MS + 60_000, TICK_MS + 3_600_000)


def test_without_any_there_is_none() -> None:
    assert limits() == (0, 0)


@pytest.mark.parametrize("limit", ["expires", "deadline"])
def test_one_moment_for_all_runs_is_refused(limit: str) -> None:
    with pytest.raises(ConfigError, match="at one moment for all runs"):
        limits(**{limit: datetime(2040, 1, 1, tzinfo=UTC)})
