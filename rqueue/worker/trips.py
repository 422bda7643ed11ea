"""What a worker's trips to Redis took, and how they failed."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from rqueue.errors import CorruptKey, StoreFull, StoreUnavailable
from rqueue.store.call import Call
from rqueue.store.connection import problem_of
from rqueue.store.scripts import FETCH, FINISH, Script
from rqueue.worker.tally import TRIP_S, Histogram, Tally

HEARTBEAT = "heartbeat"
OTHER = "other"
_OPERATIONS = {FETCH.name: "fetch", FINISH.name: "finish"}
_KINDS = ((StoreUnavailable, "unavailable"), (StoreFull, "full"), (CorruptKey, "corrupt"))


class Trips:
    """Counts into a tally; one for each thread that makes trips, as no two count the same.

    Args:
        tally: of the worker.
        operations: by the name of the script.
        otherwise: what any other trip is.
    """

    _lock = threading.Lock()

    def __init__(self, tally: Tally, operations: Mapping[str, str], otherwise: str = OTHER) -> None:
        self._tally = tally
        self._otherwise = otherwise
        self._is_cut_off = False
        names = {*operations.values(), otherwise}
        tally.trips |= {name: Histogram.empty(TRIP_S) for name in names}
        self._histograms = {script: tally.trips[name] for script, name in operations.items()}

    def made(self, call: Call[Any], seconds: float) -> None:
        """Redis has answered."""
        script = call.script
        name = script.name if isinstance(script, Script) else ""
        histogram = self._histograms.get(name) or self._tally.trips[self._otherwise]
        histogram.counts[bisect_left(TRIP_S, seconds)] += 1
        histogram.sum += seconds
        if self._is_cut_off:
            self._is_cut_off = False
            with self._lock:
                self._tally.reconnects += 1

    def failed(self, error: BaseException) -> None:
        """It has not, or with an error."""
        problem = problem_of(error)
        kind = next((kind for one, kind in _KINDS if isinstance(problem, one)), OTHER)
        self._is_cut_off = self._is_cut_off or kind == "unavailable"
        with self._lock:  # the worker's threads may fail together
            self._tally.troubles[kind] = self._tally.troubles.get(kind, 0) + 1


def of_loop(tally: Tally) -> Trips:
    """For the transport of a worker's event loop."""
    return Trips(tally, _OPERATIONS)


def of_heartbeat(tally: Tally) -> Trips:
    """For the transport of its heartbeat."""
    return Trips(tally, {}, HEARTBEAT)
