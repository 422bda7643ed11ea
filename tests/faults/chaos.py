"""Faults at random moments, drawn from a seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.process import Actor
from tests.faults.stage import Stage

_LOOK_S = 0.02


@dataclass
class Fault:
    """Something that happens again and again.

    Attributes:
        act: does it; returns what ends it later, or None.
        every_s: (least, most) seconds between two of them.
        lasts_s: (least, most) seconds until it is ended.
        times: how often it must happen before the chaos may end.
    """

    act: Callable[[Stage], Callable[[], None] | None]
    every_s: tuple[float, float]
    lasts_s: tuple[float, float] = (0.0, 0.0)
    times: int = 1
    done: int = 0
    next_at: float = 0.0
    ends: list[tuple[float, Callable[[], None]]] = field(default_factory=list)


def rage(stage: Stage, faults: Sequence[Fault], seconds: float = 600.0) -> None:
    """Let every fault happen as often as it must, and at least until all is produced."""
    deadline = time.monotonic() + seconds
    for fault in faults:
        fault.next_at = time.monotonic() + stage.chance.uniform(*fault.every_s)
    while any(fault.done < fault.times for fault in faults) or not stage.has_produced():
        assert time.monotonic() < deadline, f"the chaos did not end (seed {stage.seed})"
        stage.look_for_twins()
        for fault in faults:
            _turn(stage, fault)
        time.sleep(_LOOK_S)
    for fault in faults:
        for _, end in fault.ends:
            end()


def _turn(stage: Stage, fault: Fault) -> None:
    now = time.monotonic()
    for moment, end in list(fault.ends):
        if now >= moment:
            fault.ends.remove((moment, end))
            end()
    if now >= fault.next_at:
        end = fault.act(stage)
        fault.done += 1
        if end is not None:
            fault.ends.append((now + stage.chance.uniform(*fault.lasts_s), end))
        fault.next_at = time.monotonic() + stage.chance.uniform(*fault.every_s)


def kill_a_worker(stage: Stage) -> None:
    """``kill -9``; another one takes its place at once."""
    victim = _victim(stage, "worker")
    if victim is not None:
        victim.kill()
        stage.start("worker")


def replace_the_dead(stage: Stage) -> None:
    """What a supervisor does: another one for each worker that died by itself."""
    for one in stage.of_role("worker"):
        if one.has_ended and not one.is_told_to_end and not one.is_replaced:
            one.is_replaced = True
            stage.history.write("killed", name=one.name)
            stage.start("worker", **one.settings)


def kill_a_scheduler(stage: Stage) -> None:
    victim = _victim(stage, "scheduler")
    if victim is not None:
        victim.kill()
        stage.start("scheduler")


def freeze_a_worker(stage: Stage) -> Callable[[], None] | None:
    return _freeze(stage, "worker")


def freeze_a_scheduler(stage: Stage) -> Callable[[], None] | None:
    return _freeze(stage, "scheduler")


def _freeze(stage: Stage, role: str) -> Callable[[], None] | None:
    victim = _victim(stage, role)
    if victim is None:
        return None
    victim.freeze()
    return victim.thaw


def end_a_worker(stage: Stage) -> None:
    """SIGTERM, sometimes twice; another one takes its place."""
    victim = _victim(stage, "worker")
    if victim is not None:
        victim.ask_to_end()
        if stage.chance.random() < 0.5:
            time.sleep(0.05)
            victim.ask_to_end()
        stage.start("worker")


def kill_the_server(down_s: tuple[float, float]) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        with stage.server_down(stage.chance.uniform(*down_s)):
            pass

    return act


def kill_connections(stage: Stage) -> None:
    """What an operator does, or a load balancer."""
    stage.history.write("connections killed")
    stage.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def flush_scripts(stage: Stage) -> None:
    """All that a server was taught, also as functions where it knows these."""
    stage.admin.script_flush()
    if stage.flavour != "redis62":
        stage.admin.function_flush()


def step_a_clock(stage: Stage) -> None:
    """The clock of one process jumps; others' stay."""
    clock = stage.chance.choice(list(stage.clocks.values()))
    clock.step(stage.chance.uniform(-45, 45))


def _victim(stage: Stage, role: str) -> Actor | None:
    """One that works and is whole, if another one would be left."""
    ready = {line["name"] for line in stage.history.of("ready")}
    whole = [one for one in stage.living(role) if not one.is_frozen and one.name in ready]
    return stage.chance.choice(whole) if len(whole) > 1 else None
