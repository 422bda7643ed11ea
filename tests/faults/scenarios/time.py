"""Schedules, whose schedulers die, freeze and have wrong clocks."""

from __future__ import annotations

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
from tests.faults.ticks import EachSecond, i8_ticks_stand_in_order

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
            Fault(lambda _: None, (1, 1), times=times(stage, _TICKS)),
        ],
    )
    found = schedule.over()
    assert found >= times(stage, _TICKS), f"only {found} ticks"
    stage.drain()
