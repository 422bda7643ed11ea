"""Schedules, whose schedulers die, freeze and have wrong clocks."""

from __future__ import annotations

from rqueue.store.calls.schedule import BATCH
from tests.faults.chaos import (
    Fault,
    freeze_a_scheduler,
    kill_a_scheduler,
    kill_the_server,
    rage,
    step_a_clock,
)
from tests.faults.scenario import ALL, scenario, times
from tests.faults.stage import Stage
from tests.faults.ticks import AHEAD_S, EachSecond, Herd, i8_ticks_stand_in_order

_TICKS = 28


@scenario("F21", ALL, also=(i8_ticks_stand_in_order,))
def schedulers_die_and_freeze(stage: Stage) -> None:
    """Schedulers with wrong clocks die and freeze, and the server dies: each tick has its job."""
    stage.start_server()
    stage.clocked = True
    stage.schedulers(3)
    stage.workers(2)
    schedule = EachSecond(stage)
    rage(
        stage,
        [
            Fault(kill_a_scheduler, (2, 4), times=times(stage, 6)),
            Fault(freeze_a_scheduler, (2, 4), lasts_s=(0.5, 4), times=times(stage, 5)),
            Fault(step_a_clock, (0.3, 0.6), times=times(stage, 10)),
            Fault(kill_the_server((0.1, 1.0)), (4, 8), times=times(stage, 2)),
            Fault(lambda _: None, (1, 1), times=times(stage, _TICKS) + AHEAD_S),
        ],
    )
    found = schedule.over()
    assert found >= times(stage, _TICKS), f"only {found} ticks"
    stage.drain()


@scenario("F32", also=(i8_ticks_stand_in_order,))
def all_is_due_at_once(stage: Stage) -> None:
    """5,000 jobs and 500 schedules are due in the same millisecond; a scheduler dies on them."""
    stage.start_server()
    stage.schedulers(2)
    stage.workers(2, concurrency=50)
    stage.log_slow_scripts()
    herd = Herd(stage, in_s=6, jobs=5000, schedules=500)
    stage.until(lambda: stage.history.of("JobsPromoted") and stage.history.of("ScheduleTicked"))
    kill_a_scheduler(stage)
    stage.until(herd.has_ticked)
    stage.drain()
    stage.notes["slowest calls of scripts, ms"] = stage.slow_scripts()
    moved = [line["count"] for line in stage.history.of("JobsPromoted")]
    assert max(moved) <= BATCH, f"{max(moved)} jobs in one call: nobody else is served meanwhile"
