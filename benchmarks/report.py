"""The medians of a run, as Markdown."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.drains import Numbers
from benchmarks.measures import MEASURES
from benchmarks.peers import PEERS, RQUEUE


@dataclasses.dataclass(frozen=True)
class Sample:
    """One measure of one peer, once."""

    measure: str
    peer: str
    turn: int
    numbers: Numbers


@dataclasses.dataclass
class Run:
    """All that was measured on one server in one go."""

    server: str
    python: str
    date: str
    machine: str = ""
    samples: list[Sample] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)
    versions: str = ""
    commit: str = ""

    def median(self, measure: str, peer: str) -> Numbers:
        """Of each number, over all turns; of what is the least of a turn, the least of all."""
        found = [one.numbers for one in self.samples if (one.measure, one.peer) == (measure, peer)]
        return (
            {name: _middle(name)(one[name] for one in found) for name in found[0]} if found else {}
        )

    def ratio(self, measure: str, peer: str, column: str) -> float | None:
        """How many times a peer's number rqueue's is: the median of the turns that both took.

        Within a turn they met the same machine, so a slow turn does not count for one alone.
        """
        ours, theirs = (
            {
                one.turn: one.numbers[column]
                for one in self.samples
                if (one.measure, one.peer) == (measure, name) and column in one.numbers
            }
            for name in (RQUEUE.name, peer)
        )
        found = [ours[turn] / theirs[turn] for turn in ours.keys() & theirs if theirs[turn]]
        return statistics.median(found) if found else None

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _middle(name: str) -> Callable[[Iterable[float]], float]:
    return min if name.startswith("min") else statistics.median


def report(run: Run) -> str:
    """A table for each measure, and who was compared."""
    where = f"{run.server}, Python {run.python}"
    commit = f"commit {run.commit}" if run.commit else ""
    told = (where, run.versions, run.machine, run.date, commit, "medians of all rounds")
    lines = ["; ".join(part for part in told if part), ""]
    for name in MEASURES:
        lines += [*_table(run, name)]
    lines += _peers(run)
    lines += [f"- failed: {one.splitlines()[0]}" for one in run.failures]
    return "\n".join(lines) + "\n"


def _table(run: Run, measure: str) -> Iterator[str]:
    rows = {peer: run.median(measure, peer) for peer in PEERS}
    rows = {peer: numbers for peer, numbers in rows.items() if numbers}
    if not rows:
        return
    columns = list(dict.fromkeys(column for numbers in rows.values() for column in numbers))
    compared = MEASURES[measure].headline or columns[0]
    yield f"### {measure}"
    yield ""
    yield f"| | {' | '.join(columns)} | {compared}: rqueue is |"
    yield "|---" * (len(columns) + 2) + "|"
    for peer, numbers in rows.items():
        told = " | ".join(_shown(numbers.get(column)) for column in columns)
        ratio = run.ratio(measure, peer, compared) if peer != RQUEUE.name else None
        yield f"| {peer} | {told} | {'' if ratio is None else f'{ratio:.2f} x'} |"
    yield ""


def _peers(run: Run) -> Iterator[str]:
    measured = {sample.peer for sample in run.samples}
    yield "### who was compared"
    yield ""
    yield "| | packages | settings, and why | what it promises less than rqueue |"
    yield "|---|---|---|---|"
    for name, peer in PEERS.items():
        if name in measured:
            packages = ", ".join(one.replace("@", " ").replace("==", " ") for one in peer.packages)
            yield f"| {name} | {packages or '-'} | {peer.why} | {peer.lacks or '-'} |"
    yield ""


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
