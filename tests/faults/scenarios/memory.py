"""A server that has no memory left."""

from __future__ import annotations

import time

from rqueue.store.keys import Field
from tests.faults.scenario import scenario, times
from tests.faults.stage import Stage

_FULL_S = 30.0


@scenario("F11")
def memory_is_full(stage: Stage) -> None:
    """Redis has no memory left for half a minute: new jobs are refused, and the backlog drains."""
    stage.start_server()
    stage.cast(jobs=450, rate=10, workers=3)
    for turn in range(times(stage, 1)):
        backlog = [f"backlog-{turn}-{n}" for n in range(100)]
        stage.send(*((job, "work", [200]) for job in backlog))
        stage.history.write("memory full")
        stage.admin.config_set("maxmemory", 1)
        full = time.monotonic()
        stage.until(lambda jobs=set(backlog): jobs <= _succeeded(stage, jobs))
        stage.notes.setdefault("backlog drained, s", []).append(round(time.monotonic() - full, 2))
        stage.pause(max(0, full + _FULL_S - time.monotonic()))
        stage.admin.config_set("maxmemory", 0)
        stage.history.write("memory free")
        assert stage.history.of("refused", error="StoreFull"), "no producer was refused"
    stage.drain(120)  # at length the producer goes on for a minute more than the faults


def _succeeded(stage: Stage, jobs: set[str]) -> set[str]:
    """Which of these are recorded as succeeded."""
    with stage.admin.pipeline(transaction=False) as pipe:
        for job in jobs:
            pipe.hget(stage.keys.job(job), Field.STATE)
        states = pipe.execute()
    return {job for job, state in zip(jobs, states, strict=True) if state == b"succeeded"}
