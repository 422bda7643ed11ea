"""The consumer's side: fetcher -> executor -> finisher, and the duties that run beside them."""

from __future__ import annotations

from rqueue.worker.scheduler import Scheduler
from rqueue.worker.worker import Worker

__all__ = ["Scheduler", "Worker"]
