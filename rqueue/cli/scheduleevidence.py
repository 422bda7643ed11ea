"""What Redis knows that ``rqueue schedules lint`` judges by: how long jobs ran."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.schedules.info import ScheduleInfo

_LATEST = 20


def run_times(app: App, schedules: Iterable[ScheduleInfo]) -> dict[str, list[float]]:
    """Seconds that the last attempts of the latest jobs of each took, while they are on record."""
    return {one.name: _run_times(app, one) for one in schedules if not one.problem}


def _run_times(app: App, schedule: ScheduleInfo) -> list[float]:
    from rqueue.errors import JobNotFound, ScheduleNotFound

    found: list[float] = []
    try:
        ticks = app.schedules_sync.history(schedule.name, _LATEST)
    except ScheduleNotFound:  # deleted since it was listed
        return found
    for tick in ticks:
        if not tick.job_id:
            continue
        try:
            info = app.job(tick.job_id, schedule.queue).info_sync()
        except JobNotFound:
            continue
        if info.started_at and info.finished_at:
            found.append((info.finished_at - info.started_at).total_seconds())
    return found
