"""What the long run plays: which fault, how often, how large, on which server.

Over all servers the sizes add up to the numbers of the fault list: 500 kills, 200 zombies, each
step a hundred times, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.scenario import ALL, TWO, load

_EVERY_ONE = ("",)


@dataclass(frozen=True)
class Run:
    """One call of pytest.

    Attributes:
        fault: as in the fault list.
        file: of the test.
        chosen: for pytest's ``-k``; "" = all of the file.
        flavour: the server; "" = all that the file knows.
        seed: of all chance.
        size: how many times the small size.
        is_busy: it keeps a processor busy; the others wait most of the time.
    """

    fault: str
    file: str
    chosen: str
    flavour: str
    seed: int
    size: float
    is_busy: bool

    @property
    def name(self) -> str:
        """By this a run is known when the long run goes on."""
        return f"{self.fault} {self.flavour} size {self.size:g} seed {self.seed}"


@dataclass(frozen=True)
class Part:
    """The runs of one fault: so many on each server.

    Attributes:
        file: of a test; "" = the scenario of that name.
        chosen: which tests of the file.
        flavours: of a test; a scenario knows its own.
    """

    fault: str
    runs: int = 1
    size: float = 1.0
    is_busy: bool = False
    file: str = ""
    chosen: str = ""
    flavours: tuple[str, ...] = _EVERY_ONE

    def played(self) -> Iterator[Run]:
        flavours = self.flavours if self.file else load()[self.fault].flavours
        for seed in range(1, self.runs + 1):
            for flavour in flavours:
                file, chosen = self._test(flavour)
                yield Run(self.fault, file, chosen, flavour, seed, self.size, self.is_busy)

    def _test(self, flavour: str) -> tuple[str, str]:
        if not self.file:
            return "test_scenarios.py", f"{self.fault}-{flavour}"
        return self.file, " and ".join(filter(None, (self.chosen, flavour)))


PARTS = (
    Part("poison", size=10, is_busy=True),  # ten minutes; two at once are short of processors
    Part("F8", size=10),
    Part("F4", runs=3, size=4),
    Part("F10", size=12.5),
    Part("F10-ways", size=5),
    Part("F9", size=5),
    Part("F22", size=15),
    Part("F33", file="test_bounds.py", chosen="flood", flavours=TWO, size=15),
    Part("F23", size=6.25),
    Part("F5", size=6),
    Part("F3", runs=2, size=8.4),
    Part("F30", size=4),
    Part("F30-steps", size=10),
    Part("F30-alone", size=8.4),
    Part("F6", size=5),
    Part("F20", size=5),
    Part("F21", size=20),
    Part("F19", size=2),
    Part("F32"),
    Part("F29"),
    Part("F11", size=5),
    Part("F11, exactly", file="test_bounds.py", chosen="memory", flavours=ALL),
    Part("F25", file="test_bounds.py", chosen="megabytes", flavours=ALL, size=2),
    Part("F33 and F25, from beside", file="test_neighbours.py", flavours=ALL),
    Part("durability", file="test_durability.py", flavours=ALL, runs=3),
    Part("poison, exactly", file="test_poison.py", flavours=TWO),
    Part("exact moments", file="test_direct.py"),
    Part("F12", file="test_server_checks.py"),
    Part("F26", file="test_wrong_types.py"),
    Part("F31", file="test_forks.py", flavours=TWO),
    Part("F35", file="test_disk_full.py"),
    Part("F7", size=13.4, is_busy=True),
    Part("F1", runs=4, size=3, is_busy=True),
    Part("F2", runs=3, size=3, is_busy=True),
    Part("F24", file="test_hostile.py", chosen="mutants", flavours=TWO, size=250, is_busy=True),
    Part("F34", file="test_cancellation.py", flavours=ALL, size=34, is_busy=True),
)


def plan() -> list[Run]:
    """All runs; those that wait long come first."""
    return [run for part in PARTS for run in part.played()]
