"""Schedules at run time: ``app.schedules`` and ``app.schedules_sync``."""
