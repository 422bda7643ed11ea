"""Workers that are told to end: at random, at each step, and while there is no Redis."""

from __future__ import annotations

import time

from tests.faults.chaos import Fault, end_a_worker, rage
from tests.faults.process import Actor
from tests.faults.scenario import scenario, times
from tests.faults.stage import Stage
from tests.faults.timing import released_jobs_run_elsewhere_at_once

_GRACE_S = 0.5
_AFTER_GRACE_S = 5.0
_STEPS = (
    "after fetch",
    "before the handler",
    "after the handler",
    "before the finish",
    "after the finish",
)
_TURNS = 5


@scenario("F30", also=(released_jobs_run_elsewhere_at_once,))
def workers_are_told_to_end(stage: Stage) -> None:
    """Workers are told to end at random, some of them twice; what they held runs elsewhere."""
    stage.start_server()
    stage.cast(jobs=600, rate=40, workers=3, grace_s=_GRACE_S)
    rage(stage, [Fault(end_a_worker, (0.8, 1.6), times=times(stage, 12))])
    stage.drain()
    _nobody_crashed(stage)
    for actor in stage.of_role("worker"):
        if actor.is_told_to_end:
            actor.wait(15)
            assert stage.history.of("ended", name=actor.name), f"{actor.name} did not end as told"


@scenario("F30-steps", also=(released_jobs_run_elsewhere_at_once,))
def workers_are_told_to_end_at_each_step(stage: Stage) -> None:
    """Workers are told to end while they are idle, and at each step of a job, once and twice."""
    stage.start_server()
    stage.schedulers(1)
    # Room for all that is sent: what is given back must not wait for a slot.
    heir = stage.workers(1, concurrency=100)[0]
    for turn in range(times(stage, _TURNS)):
        idle = stage.start("worker", grace_s=_GRACE_S)
        told = [
            _told_to_end(stage, step, twice=twice) for step in _STEPS for twice in (False, True)
        ]
        idle.ready().ask_to_end()
        _has_ended(idle)
        names = iter(f"{turn}-{number}" for number in range(10_000))
        while not all(one.has_ended for one in told):
            waits = [0, 5, stage.chance.choice([0, 2000])]
            stage.send(*((next(names), "work", [ms]) for ms in waits))
            stage.pause(0.05)
        for one in told:
            assert one.wait() == 0, f"{one.name} ended with {one.process.returncode}"
        stage.drain()
    _nobody_crashed(stage)
    assert not heir.has_ended
    points = stage.history.of("failed at its point")
    stage.notes["steps"] = len(points)
    assert stage.notes["steps"] == times(stage, _TURNS) * len(_STEPS) * 2
    ends = {line["pid"]: line["at"] for line in stage.history.of("ended")}
    took = max(ends[line["pid"]] - line["at"] for line in points)
    assert took < _GRACE_S + _AFTER_GRACE_S, f"a worker ended only {took:.1f} s after it was told"


@scenario("F30-alone")
def workers_are_told_to_end_without_redis(stage: Stage) -> None:
    """Workers are told to end while the server is away: they end all the same, and soon."""
    stage.start_server()
    stage.schedulers(1)
    stage.produce(150, rate=10)
    for _ in range(times(stage, 3)):
        workers = stage.workers(2, grace_s=_GRACE_S)
        with stage.server_down(0.1):
            for one in workers:
                one.ask_to_end()
            for one in workers:
                _has_ended(one)
    stage.workers(2)
    stage.drain()


def _told_to_end(stage: Stage, step: str, *, twice: bool) -> Actor:
    """A worker that is told to end when it comes to a step; ready."""
    return stage.start(
        "worker",
        module="tests.faults.failing",
        failpoint=step,
        nth=1,
        signals=["SIGTERM"] * (1 + twice),
        grace_s=_GRACE_S,
    )


def _has_ended(actor: Actor) -> None:
    began = time.monotonic()
    assert actor.wait(60) == 0, f"{actor.name} ended with {actor.process.returncode}"
    took = time.monotonic() - began
    assert took < _GRACE_S + _AFTER_GRACE_S, f"{actor.name} ended only after {took:.1f} s"


def _nobody_crashed(stage: Stage) -> None:
    crashed = [line for line in stage.history.of("begin") if line["crashes"]]
    assert not crashed, f"a crash was charged for a release: {crashed[:3]}"
