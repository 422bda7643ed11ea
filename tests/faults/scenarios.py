"""The scenarios: what goes wrong, and what must hold all the same.

Names are those of the fault list in ``docs/guarantees.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults import checker
from tests.faults.chaos import (
    Fault,
    end_a_worker,
    flush_scripts,
    freeze_a_worker,
    kill_a_scheduler,
    kill_a_worker,
    kill_connections,
    kill_the_server,
    rage,
)
from tests.faults.checker import Evidence, Violation
from tests.faults.stage import LEASE_S, Stage

Check = Callable[[Evidence], Iterator[Violation]]
Play = Callable[[Stage], None]
TWO = ("valkey9", "redis7")
ALL = ("valkey9", "redis7", "redis62")


@dataclass(frozen=True)
class Scenario:
    """One kind of trouble.

    Attributes:
        name: as in the fault list.
        play: starts the processes, makes the trouble, and returns when all is at rest again.
        title: one sentence.
        flavours: the servers it runs on.
        spared: checks that do not hold here, with the reason.
    """

    name: str
    play: Play
    title: str
    flavours: tuple[str, ...]
    spared: dict[str, str]

    def checks(self) -> list[Check]:
        return [one for one in checker.ALWAYS if one.__name__ not in self.spared]


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str, flavours: tuple[str, ...] = TWO, spared: dict[str, str] | None = None
) -> Callable[[Play], Play]:
    def declare(play: Play) -> Play:
        title = (play.__doc__ or "").strip().splitlines()[0]
        SCENARIOS[name] = Scenario(name, play, title, flavours, spared or {})
        return play

    return declare


def times(stage: Stage, count: int) -> int:
    return max(1, round(count * stage.size))


@scenario("F1", ALL)
def workers_are_killed(stage: Stage) -> None:
    """Workers are killed at random, and others take their places."""
    stage.start_server()
    stage.schedulers(2)
    stage.workers(3)
    stage.produce(1200, rate=60)
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
    stage.schedulers(1)
    stage.workers(4)
    stage.produce(600, rate=25)
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
    stage.schedulers(1)
    stage.workers(2)
    stage.produce(200, rate=20)
    from tests.faults.block import send_blocks

    send_blocks(stage, times(stage, 6), seconds=1.5 * LEASE_S)
    stage.drain(120)
    assert stage.history.of("LoopStalled"), "no stall was noticed"
    assert not stage.history.of("WorkerFenced"), "a blocked worker lost its lease"


@scenario("F5", ALL)
def the_server_is_killed(stage: Stage) -> None:
    """The server is killed and comes back with all it had promised to keep."""
    stage.start_server()
    stage.schedulers(1)
    stage.workers(3)
    stage.produce(400, rate=30)
    rage(
        stage,
        [
            Fault(kill_the_server((0.1, 2.0)), (3, 5), times=times(stage, 2)),
            Fault(kill_the_server((1.3 * LEASE_S, 1.6 * LEASE_S)), (6, 9), times=times(stage, 1)),
        ],
    )
    stage.drain()


@scenario("F10")
def connections_are_killed(stage: Stage) -> None:
    """Every connection is cut once a second."""
    stage.start_server()
    stage.schedulers(1)
    stage.workers(3)
    stage.produce(600, rate=30)
    rage(stage, [Fault(kill_connections, (0.9, 1.1), times=times(stage, 20))])
    stage.drain()


@scenario("F22")
def scripts_are_flushed(stage: Stage) -> None:
    """The server forgets the scripts ten times a second."""
    stage.start_server()
    stage.schedulers(1)
    stage.workers(2)
    stage.produce(600, rate=60)
    rage(stage, [Fault(flush_scripts, (0.08, 0.12), times=times(stage, 100))])
    stage.drain()
    assert not stage.history.of("unknown"), "a caller noticed"
    assert not stage.history.of("refused"), "a caller noticed"


@scenario("F30")
def workers_are_told_to_end(stage: Stage) -> None:
    """Workers are told to end at random, some of them twice; what they held runs elsewhere."""
    stage.start_server()
    stage.schedulers(1)
    stage.workers(3, grace_s=0.5)
    stage.produce(600, rate=40)
    rage(stage, [Fault(end_a_worker, (0.8, 1.6), times=times(stage, 12))])
    stage.drain()
    crashed = [line for line in stage.history.of("begin") if line["crashes"]]
    assert not crashed, f"a crash was charged for a release: {crashed[:3]}"


def wait(seconds: float) -> None:
    """Let a fault last."""
    time.sleep(seconds)
