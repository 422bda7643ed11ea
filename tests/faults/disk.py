"""Whether a server stood still because its disk did, as the server itself tells."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis

STALL_S = 0.4
"""Longer than a reaper of a short lease may stand still: then its watch begins afresh."""
CONFIG = {"latency-monitor-threshold": str(round(STALL_S * 1000))}
"""So that the server notes what kept it from answering for so long."""


def was_waited_for(redis: Redis, seconds: float) -> bool:
    """Whether the server waited for its disk in the last so many seconds.

    A script that keeps it busy is noted under another name, and excuses nothing.
    """
    told: Any = redis.execute_command("LATENCY", "LATEST")
    since = time.time() - seconds - 1  # it notes whole seconds
    return any(name.startswith(b"aof-") and at >= since for name, at, *_ in told)
