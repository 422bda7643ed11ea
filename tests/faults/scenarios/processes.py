"""Workers and schedulers that die, freeze, stall, are told to end, or have a wrong clock."""

from __future__ import annotations

from tests.faults.chaos import (
    Fault,
    freeze_a_worker,
    kill_a_scheduler,
    kill_a_worker,
    rage,
    step_a_clock,
)
from tests.faults.scenario import ALL, scenario, times
from tests.faults.stage import LEASE_S, Stage
from tests.faults.ticks import EachSecond, i8_ticks_stand_in_order
from tests.faults.timing import some_delayed_jobs_could_be_judged


@scenario("F1", ALL)
def workers_are_killed(stage: Stage) -> None:
    """Workers are killed at random, and others take their places."""
    stage.start_server()
    stage.cast(jobs=1200, rate=60, schedulers=2, workers=3)
    rage(
        stage,
        [
            Fault(kill_a_worker, (0.8, 1.6), times=times(stage, 14)),
            Fault(kill_a_scheduler, (4, 8), times=times(stage, 2)),
        ],
    )
    stage.drain()


@scenario("F2", ALL)
def workers_freeze_and_wake_up(stage: Stage) -> None:
    """Workers stand still for longer than their lease, and wake up as zombies."""
    stage.start_server()
    stage.cast(jobs=600, rate=25, workers=4)
    frozen = Fault(
        freeze_a_worker,
        (1.5, 3.0),
        lasts_s=(1.2 * LEASE_S, 2.5 * LEASE_S),
        times=times(stage, 8),
    )
    rage(stage, [frozen])
    stage.drain()
    assert stage.history.of("WorkerFenced"), "no zombie was fenced: the fault did not bite"


@scenario("F3", ALL)
def event_loops_are_blocked(stage: Stage) -> None:
    """Tasks block their event loop for longer than the lease; the workers keep it."""
    stage.start_server()
    stage.cast(jobs=200, rate=20, workers=2)
    stage.send(*((f"block-{n}", "block", [1.5 * LEASE_S]) for n in range(times(stage, 6))))
    stage.drain(240)
    stalls = stage.history.of("LoopStalled")
    assert any(line["task"] == "block" for line in stalls), "no stall named its task"
    assert not stage.history.of("WorkerFenced"), "a blocked worker lost its lease"


@scenario(
    "F20",
    spared={
        "i7_a_unique_key_has_one_holder": "a skewed producer dates its jobs",
        "i18_nobody_records_after_it_was_reaped": "a skewed reaper dates its line",
    },
    also=(some_delayed_jobs_could_be_judged, i8_ticks_stand_in_order),
)
def clocks_of_processes_are_wrong(stage: Stage) -> None:
    """The clocks of all processes are up to 45 s off, and jump; the server's decides."""
    stage.start_server()
    stage.clocked = True
    stage.schedulers(2)
    stage.workers(3)
    schedule = EachSecond(stage)
    stage.produce(400, rate=40, mix="undated")
    rage(
        stage,
        [
            Fault(step_a_clock, (0.3, 0.6), times=times(stage, 20)),
            Fault(kill_a_worker, (2, 3), times=times(stage, 3)),
        ],
    )
    schedule.over()
    stage.drain()
