"""When a worker process has done enough: after so many jobs, or with so much memory in use."""

from __future__ import annotations

import logging
import os
import resource
import sys
from pathlib import Path

from rqueue.config import KIB
from rqueue.worker.tally import Tally

logger = logging.getLogger("rqueue")

MAX_JOBS = "max_jobs"
MAX_MEMORY = "max_memory"
_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Recycling:
    """Whether a worker has reached one of its bounds.

    Args:
        tally: what it has counted.
        max_jobs: attempts; 0 = any number.
        max_memory: bytes; 0 = any number.
    """

    def __init__(self, tally: Tally, max_jobs: int, max_memory: int) -> None:
        self._tally = tally
        self._max_jobs = max_jobs
        self._max_memory = max_memory
        self.reached = ""
        """``MAX_JOBS``, ``MAX_MEMORY`` or ""."""

    def is_due(self) -> bool:
        """Whether it has done enough by now; it stays so."""
        if self.reached:
            return True
        if self._max_jobs and attempts(self._tally) >= self._max_jobs:
            self.reached = MAX_JOBS
        elif self._max_memory and memory() >= self._max_memory:
            self.reached = MAX_MEMORY
        if self.reached:
            logger.info("has done enough (%s): takes no more jobs, and ends", self.reached)
        return bool(self.reached)


def attempts(tally: Tally) -> int:
    """How many have ended, well or not."""
    tasks = list(tally.tasks.values())
    return sum(one.succeeded + sum(one.attempts.values()) for one in tasks)


def memory() -> int:
    """Bytes that this process has in use; where that is not told, the most that it ever had."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * KIB
