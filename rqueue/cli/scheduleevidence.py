"""What Redis knows that ``rqueue schedules lint`` judges by: how long jobs ran, who runs what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

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


def known_tasks(app: App) -> frozenset[str] | None:
    """The tasks that the workers say they know; None if one does not say, or there are none."""
    cards = app.inspector_sync.workers().values()
    told = [card.get("tasks") for card in cards]
    if not told or not all(isinstance(one, list) for one in told):
        return None
    return frozenset(str(name) for names in told for name in cast("list[Any]", names))
