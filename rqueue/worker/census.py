"""How things stand in a worker at one moment."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any

from rqueue.clock import monotonic, now_ms
from rqueue.ids import lengthen
from rqueue.worker.pulse import FETCH, FINISH, LOOP, TICK_S, Pulse
from rqueue.worker.readings import Readings
from rqueue.worker.recorder import Recorder
from rqueue.worker.recycling import attempts, memory
from rqueue.worker.running import Running

_MOST_JOBS = 200


def census(recorder: Recorder, running: Running, pulse: Pulse) -> Readings:
    """What was counted, and what goes on; any thread may ask."""
    now, slots = monotonic(), running.slots
    at_work = [one for one in running.attempts() if one.is_stoppable]
    longest: dict[str, float] = {}
    for one in at_work:
        queue = recorder.queue(one.delivery.queue)
        longest[queue] = max(longest.get(queue, 0.0), now - one.started)
    return Readings(
        tally=recorder.tally,
        slots=slots.size,
        busy=slots.taken,
        # While it is blocked nothing is recorded: then it is late by as long as it has not turned.
        lag_s=max(recorder.lag_s, pulse.age(LOOP) - TICK_S),
        fetched_at=_answered_at(pulse, FETCH),
        finished_at=_answered_at(pulse, FINISH),
        running=dict(Counter(recorder.place(one.delivery.queue, one.task) for one in at_work)),
        longest_s=longest,
        memory_bytes=memory(),
    )


def portrait(state: str, readings: Readings, running: Running) -> dict[str, Any]:
    """A worker for a person who looks at it: plain values only.

    Args:
        state: ``working``, ``quiet`` or ``stopping``.
        readings: how things stand.
        running: its jobs; those that have run for longest are told first, and not all if many.
    """
    now = monotonic()
    at_work = sorted((one for one in running.attempts() if one.started), key=lambda a: a.started)
    jobs = [
        {
            "id": lengthen(one.delivery.job_id),
            "task": one.task,
            "queue": one.delivery.queue,
            "attempt": one.delivery.attempts + 1,
            "seconds": round(now - one.started, 3),
            "stopped_by": one.stopped_by,
        }
        for one in at_work[:_MOST_JOBS]
    ]
    return {
        "state": state,
        "slots": readings.slots,
        "busy": readings.busy,
        "stuck_threads": readings.stuck_threads,
        "lag_s": round(readings.lag_s, 3),
        "fetched_at": readings.fetched_at,
        "finished_at": readings.finished_at,
        "memory": readings.memory_bytes,
        "attempts": attempts(readings.tally),
        "jobs": jobs,
    }


def _answered_at(pulse: Pulse, part: str) -> float:
    age = pulse.answer_age(part)
    return now_ms() / 1000 - age if age < inf else 0.0
