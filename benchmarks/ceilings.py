"""What a job may cost: what was once counted, by ``gate.json``, and how far a count may be off it.

Only what a count depends on keeps figures apart: memory and reads depend on the server, calls on
Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.counts import Counts

FILE = Path(__file__).parent / "gate.json"
ANYWHERE = "anywhere"

Recorded = dict[str, dict[str, Counts]]
"""By what the counts depend on, by measure, by count."""


class Kind(NamedTuple):
    """How far a count may grow unnoticed, as ten runs beside other work have shown.

    Attributes:
        share: of what is recorded.
        floor: the least that is allowed, for counts that are near nothing.
    """

    share: float
    floor: float


KINDS = {
    "client commands": Kind(0.03, 0.001),
    "all commands": Kind(0.02, 0.02),
    "reads": Kind(0.03, 0.005),
    "bytes in": Kind(0.02, 1.0),
    "bytes out": Kind(0.02, 1.0),
    "calls of rqueue": Kind(0.05, 0.2),
    "all calls": Kind(0.05, 1.0),
    "queued bytes": Kind(0.02, 2.0),
    "delayed bytes": Kind(0.02, 2.0),
    "left bytes": Kind(0.02, 2.0),
}
LOOSER = {
    ("drain", "client commands"): Kind(0.03, 0.01),  # batches are as large as the worker is late
    ("drain", "reads"): Kind(0.03, 0.01),
    ("enqueue 100 at once", "reads"): Kind(0.03, 0.03),  # in one to four, as their packets fall
}
"""Counts of a measure that differ more from run to run than they do elsewhere."""


class Line(NamedTuple):
    """A count beside what is recorded for it."""

    measure: str
    name: str
    count: float
    recorded: float | None

    @property
    def ceiling(self) -> float:
        """The most that passes."""
        if self.recorded is None:
            return float("inf")
        kind = LOOSER.get((self.measure, self.name), KINDS[self.name])
        return self.recorded + max(kind.share * self.recorded, kind.floor)

    @property
    def has_grown(self) -> bool:
        return self.count > self.ceiling

    @property
    def has_fallen(self) -> bool:
        """Whether it is so much lower that the record no longer holds it."""
        return self.recorded is not None and self.recorded > Line(*self[:3], self.count).ceiling


class Place(NamedTuple):
    """Where is counted.

    Attributes:
        server: as in ``Redis 7.0``.
        python: as in ``Python 3.11``.
    """

    server: str
    python: str

    def of(self, name: str) -> str:
        """Where a count is recorded."""
        if name in ("reads", "queued bytes", "delayed bytes", "left bytes"):
            return self.server
        return self.python if name in ("calls of rqueue", "all calls") else ANYWHERE


def read() -> Recorded:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def write(recorded: Recorded) -> None:
    FILE.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")


def judged(recorded: Recorded, place: Place, counted: dict[str, Counts]) -> Iterator[Line]:
    """Each count beside its record."""
    for measure, counts in counted.items():
        for name, value in counts.items():
            known = recorded.get(place.of(name), {}).get(measure, {})
            yield Line(measure, name, value, known.get(name))


def renewed(recorded: Recorded, place: Place, counted: dict[str, Counts]) -> Recorded:
    """The record with these counts in it; what depends on another server or Python stays."""
    new = {
        where: {measure: dict(counts) for measure, counts in known.items()}
        for where, known in recorded.items()
    }
    for measure, counts in counted.items():
        for name, value in counts.items():
            new.setdefault(place.of(name), {}).setdefault(measure, {})[name] = round(value, 4)
    return new
