"""What can be seen of a worker from outside, whoever asks and from whatever thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rqueue.worker.attempt import name_of
from rqueue.worker.census import census, portrait
from rqueue.worker.pulse import Pulse
from rqueue.worker.questions import Questions
from rqueue.worker.readings import Readings
from rqueue.worker.recorder import Recorder
from rqueue.worker.runners import Runners
from rqueue.worker.running import Running
from rqueue.worker.stacks import stacks


class Insight:
    """Looks into the parts of a worker.

    Args:
        recorder: what it has counted.
        running: its jobs.
        runners: its threads.
        pulse: when its parts last turned.
        state: how it stands: ``working``, ``quiet`` or ``stopping``.
    """

    def __init__(
        self,
        recorder: Recorder,
        running: Running,
        runners: Runners,
        pulse: Pulse,
        state: Callable[[], str],
    ) -> None:
        self._recorder = recorder
        self._running = running
        self._runners = runners
        self._pulse = pulse
        self._state = state
        self.questions = Questions({"show": self.show, "stacks": self.stacks})
        """What others may ask."""
        self.loop: asyncio.AbstractEventLoop | None = None
        """The worker's, once it runs."""

    def readings(self) -> Readings:
        """What it has counted, and how things stand."""
        found = census(self._recorder, self._running, self._pulse)
        found.is_draining = self._state() != "working"
        found.stuck_threads = len(self._runners.stuck)
        return found

    def show(self) -> dict[str, Any]:
        """The same for a person: the state, and the jobs that run."""
        return portrait(self._state(), self.readings(), self._running)

    def stacks(self) -> dict[str, str]:
        """Where its threads and its asyncio tasks are."""
        running = self._running
        return {"stacks": stacks(self.loop, lambda work: name_of(running.attempts(), work))}
