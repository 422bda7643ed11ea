"""What a scenario is: trouble, and what must hold all the same. They are in ``scenarios/``.

Names are those of the fault list in ``docs/guarantees.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from tests.faults import checker
from tests.faults.evidence import Evidence, Violation
from tests.faults.stage import Stage

Check = Callable[[Evidence], Iterator[Violation]]
Play = Callable[[Stage], None]
TWO = ("valkey9", "redis7")
ALL = ("valkey9", "redis7", "redis62")
DESTROYED = "lost with their keys"
"""How a scenario notes jobs that no promise covers, for their keys were destroyed."""


@dataclass(frozen=True)
class Scenario:
    """One kind of trouble.

    Attributes:
        name: as in the fault list.
        play: starts the processes, makes the trouble, and returns when all is at rest again.
        title: one sentence.
        flavours: the servers it runs on.
        spared: checks that do not hold here, with the reason.
        also: checks that only hold here.
    """

    name: str
    play: Play
    title: str
    flavours: tuple[str, ...]
    spared: dict[str, str]
    also: tuple[Check, ...] = ()

    def checks(self) -> list[Check]:
        held = [one for one in checker.ALWAYS if one.__name__ not in self.spared]
        return [*held, *self.also]


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    flavours: tuple[str, ...] = TWO,
    spared: dict[str, str] | None = None,
    also: tuple[Check, ...] = (),
) -> Callable[[Play], Play]:
    def declare(play: Play) -> Play:
        title = (play.__doc__ or "").strip().splitlines()[0]
        SCENARIOS[name] = Scenario(name, play, title, flavours, spared or {}, also)
        return play

    return declare


def times(stage: Stage, count: int) -> int:
    return max(1, round(count * stage.size))


def load() -> dict[str, Scenario]:
    """Every scenario, by name."""
    for module in (
        "processes",
        "endings",
        "servers",
        "memory",
        "network",
        "steps",
        "time",
        "poison",
    ):
        import_module(f"tests.faults.scenarios.{module}")
    return SCENARIOS
