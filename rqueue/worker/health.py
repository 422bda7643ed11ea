"""Whether a worker is well: three questions, each answered by why not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from rqueue.worker.joining import Joining
from rqueue.worker.pulse import FETCH, HEARTBEAT, LOOP, REAPER, Pulse

_LOOP_S = 30.0
"""An event loop that has not turned for so long is past hope, or as good as that."""
_REFUSALS = {
    "quiet": "it was told to be quiet, and takes no more jobs",
    "stopping": "it was told to stop, and takes no more jobs",
}


class Health(msgspec.Struct, frozen=True):
    """What an orchestrator asks a worker. Any thread may ask; nothing is asked of Redis for it.

    Attributes:
        pulse: signs of life of the worker's parts.
        has_joined: set once it fetches.
        joining: how it came to that, or tries to.
        state: ``working``, ``quiet`` or ``stopping``.
        is_cut_off: whether its last fetch failed.
        patience_s: how old Redis' last answer may be.
    """

    pulse: Pulse
    has_joined: asyncio.Event
    joining: Joining
    state: Callable[[], str]
    is_cut_off: Callable[[], bool]
    patience_s: float

    def live(self) -> str:
        """Why it should be killed and started anew, or "". Redis has no part in that."""
        age = self.pulse.age(LOOP)
        return f"the event loop has not turned for {age:.0f} s" if age > _LOOP_S else ""

    def started(self) -> str:
        """Why it has not begun yet, or "". Whoever waits for Redis has begun."""
        return "" if self.joining.has_begun else "its resources are not open yet"

    def ready(self) -> str:
        """Why it takes no jobs, or ""."""
        if refusal := _REFUSALS.get(self.state()):
            return refusal
        age = min(self.pulse.answer_age(FETCH), self.pulse.answer_age(HEARTBEAT))
        if self.has_joined.is_set() and (self.is_cut_off() or age > self.patience_s):
            return f"Redis has not answered for {age:.1f} s"
        if self.has_joined.is_set():
            return ""
        return self.joining.trouble or "it has not joined its queues yet"


class SchedulerHealth(msgspec.Struct, frozen=True):
    """What an orchestrator asks a scheduler. Any thread may ask; nothing is asked of Redis for it.

    Attributes:
        pulse: signs of life of its event loop and of the thread that looks at leases.
        has_begun: whether it runs, though Redis may not have told it of any queue.
        is_serving: set once it serves every queue that is known.
        is_stopping: whether it was told to stop.
        patience_s: how old Redis' last answer may be.
    """

    pulse: Pulse
    has_begun: Callable[[], bool]
    is_serving: asyncio.Event
    is_stopping: Callable[[], bool]
    patience_s: float

    def live(self) -> str:
        """Why it should be killed and started anew, or "". Redis has no part in that."""
        part, age = self.pulse.oldest()
        return f"the {part} has not turned for {age:.0f} s" if age > _LOOP_S else ""

    def started(self) -> str:
        """Why it has not begun yet, or "". Whoever waits for Redis has begun."""
        return "" if self.has_begun() else "it does not run yet"

    def ready(self) -> str:
        """Why it serves nobody, or ""."""
        if self.is_stopping():
            return "it was told to stop"
        age = self.pulse.answer_age(REAPER)
        if self.is_serving.is_set() and age > self.patience_s:
            return f"Redis has not answered for {age:.1f} s"
        return "" if self.is_serving.is_set() else "it does not serve its queues yet"
