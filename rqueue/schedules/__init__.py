"""Schedules at run time: ``app.schedules`` and ``app.schedules_sync``."""

from rqueue.schedules.faces import BlockingSchedules, Schedules
from rqueue.schedules.info import ScheduleInfo, Tick

__all__ = ["BlockingSchedules", "ScheduleInfo", "Schedules", "Tick"]
