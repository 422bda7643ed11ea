"""Signs of life of the event loop's parts, read by the heartbeat thread."""

from __future__ import annotations

from math import inf

from rqueue.clock import monotonic

LOOP = "event loop"
"""The part that ticks several times a second; the others may sleep for seconds."""
TICK_S = 0.2
"""How often it does."""
FETCH = "fetch"
FINISH = "finish"
HEARTBEAT = "heartbeat"
REAPER = "reaper"
"""The parts of which it is told when Redis last answered them."""


class Pulse:
    """When each part last turned. A dead fetch loop must not hide behind a live heartbeat."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}
        self._answers: dict[str, float] = {}

    def beat(self, part: str) -> None:
        """This part turned now."""
        self._beats[part] = monotonic()

    def answered(self, part: str) -> None:
        """Redis has answered this part."""
        self._answers[part] = monotonic()

    def answer_age(self, part: str) -> float:
        """Seconds since it last did; infinite if it never has."""
        return monotonic() - self._answers.get(part, -inf)

    def end(self, part: str) -> None:
        """This part has ended; nothing is expected of it any more."""
        self._beats.pop(part, None)

    def age(self, part: str) -> float:
        """For how many seconds this part has not turned; 0 when nothing is expected of it."""
        at = self._beats.get(part)
        return 0.0 if at is None else monotonic() - at

    def oldest(self) -> tuple[str, float]:
        """The part that has not turned for longest, and for how many seconds."""
        beats = list(self._beats.items())
        if not beats:
            return "", 0.0
        part, at = min(beats, key=lambda item: item[1])
        return part, monotonic() - at
