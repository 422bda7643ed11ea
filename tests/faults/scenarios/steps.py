"""``kill -9`` exactly at each step of a job's way."""

from __future__ import annotations

from tests.faults.process import Actor
from tests.faults.scenario import ALL, scenario, times
from tests.faults.stage import Stage

_BY_WORKERS = (
    "after fetch",
    "before the handler",
    "after the handler",
    "before the finish",
    "after the finish",
    "after a release",
)
_BY_SCHEDULERS = ("before a reap", "after a reap", "before a promote", "after a promote")
_EACH = 3


@scenario(
    "F4",
    ALL,
    spared={
        "i10_no_delayed_job_is_late": "most of the time no scheduler is there",
        "i13_what_the_dead_held_is_moved_in_time": "nobody else is there to reap before the end",
    },
)
def processes_die_at_each_step(stage: Stage) -> None:
    """Workers and schedulers kill themselves at each step, one after the other."""
    stage.start_server()
    for turn in range(_EACH * times(stage, 1)):
        for point in _BY_WORKERS:
            _worker_dies(stage, point, turn)
        for point in _BY_SCHEDULERS:
            _scheduler_dies(stage, point, turn)
        if turn % _EACH == _EACH - 1:
            _clear_up(stage)
    stage.notes["steps"] = len(stage.history.of("failed at its point"))
    assert stage.notes["steps"] == _EACH * times(stage, 1) * len(_BY_WORKERS + _BY_SCHEDULERS)


def _clear_up(stage: Stage) -> None:
    """What was left behind runs; then nobody is there to reap again."""
    stage.schedulers(1)
    stage.workers(2)
    stage.drain()
    for actor in [*stage.living("worker"), *stage.living("scheduler")]:
        actor.ask_to_end()
        actor.wait()


def _worker_dies(stage: Stage, point: str, turn: int) -> None:
    name = f"{point.replace(' ', '-')}-{turn}"
    is_release = "release" in point
    nth = 1 if is_release else turn % _EACH + 1  # releases go together
    dying = stage.start(
        "worker",
        module="tests.faults.failing",
        failpoint=point,
        nth=nth,
        grace_s=0.1,
        # At a job of this turn: what an earlier turn left is short, and may leave none to release.
        ends_at=name if is_release else "",
    )
    dying.is_told_to_end = is_release
    # With jobs of an earlier turn it may die before it can say that it is ready.
    stage.until(lambda: stage.history.of("ready", name=dying.name) or dying.has_ended)
    stage.send(*((f"{name}-{n}", "work", [600 if is_release else 5]) for n in range(6)))
    _until_dead(stage, dying)


def _scheduler_dies(stage: Stage, point: str, turn: int) -> None:
    name = f"{point.replace(' ', '-')}-{turn}"
    if "promote" in point:
        stage.send_later(*((f"{name}-{n}", 0.1) for n in range(3)))
    else:
        victim = stage.workers(1)[0]
        stage.send(*((f"{name}-{n}", "work", [3000]) for n in range(3)))
        stage.until(lambda: stage.history.of("begin", pid=victim.process.pid))
        victim.kill()
    dying = stage.start("scheduler", module="tests.faults.failing", failpoint=point, nth=1)
    _until_dead(stage, dying)


def _until_dead(stage: Stage, actor: Actor) -> None:
    stage.history.write("killed", name=actor.name)
    stage.until(lambda: actor.has_ended, 120)  # what was left behind may run alone, one by one
    assert actor.process.returncode == -9, f"{actor.name} ended with {actor.process.returncode}"
