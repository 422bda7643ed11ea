"""The regression gate: fails when a job costs more commands, bytes or calls than is recorded."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence

from benchmarks.ceilings import FILE, Line, Place, Recorded, judged, read, renewed, write
from benchmarks.counts import BARE, MEASURES, Counts, count
from benchmarks.stand import Stand

_TRIES = 3
"""What has grown is counted again, for a machine can disturb a run; the lowest count stands."""


def main() -> None:
    chosen = _arguments()
    with Stand(chosen.server, plain=True) as stand:
        place = Place(_minor(stand.version), _minor(f"Python {platform.python_version()}"))
        held = {} if chosen.update else read()
        bare = count(stand, BARE)
        counted = {
            measure: _lowest(stand, measure, held, place) for measure in MEASURES if measure != BARE
        }
    if chosen.update:
        write(renewed(read(), place, counted))
    lines = list(judged(read(), place, counted))
    print(
        "\n".join([f"{place.server}, {place.python}", *_table(lines, bare), *_told(lines, place)])
    )
    sys.exit(any(line.has_grown for line in lines))


def _lowest(stand: Stand, measure: str, held: Recorded, place: Place) -> Counts:
    """The counts of a measure, counted again while one of them has grown."""
    counts = count(stand, measure)
    for _ in range(_TRIES - 1):
        if not any(line.has_grown for line in judged(held, place, {measure: counts})):
            break
        again = count(stand, measure)
        counts = {name: min(value, again[name]) for name, value in counts.items()}
    return counts


def _table(lines: Sequence[Line], bare: Counts) -> Iterator[str]:
    row = "{:22}  {:15}  {:>9}  {:>9}  {:>9}  {:>9}  {}".format
    yield row("per job", "", "now", "recorded", "at most", "bare loop", "").rstrip()
    for line in lines:
        floor = bare.get(line.name) if line.measure == "drain" else None
        known = None if line.recorded is None else line.ceiling
        shown = [_shown(value) for value in (line.count, line.recorded, known, floor)]
        word = "GROWN" if line.has_grown else "fallen" if line.has_fallen else ""
        yield row(line.measure, line.name, *shown, word).rstrip()


def _told(lines: Sequence[Line], place: Place) -> Iterator[str]:
    """What to do about it."""
    grown = [line for line in lines if line.has_grown]
    for line in grown:
        yield (
            f"bench-gate: {line.measure}: {line.name} per job grew from {_shown(line.recorded)} "
            f"to {_shown(line.count)}, at most {_shown(line.ceiling)}"
        )
    if grown:
        yield (
            "A change made a job dearer. If that is worth it, record the new counts with "
            f"`make bench-gate UPDATE=1`, and say why in the commit that changes {FILE.name}."
        )
    if any(line.has_fallen for line in lines):
        yield "Some have fallen: `make bench-gate UPDATE=1` holds what was won."
    if unknown := [line for line in lines if line.recorded is None]:
        yield (
            f"{len(unknown)} counts are not recorded for {place.server} and {place.python}, and "
            "not judged: `make bench-gate UPDATE=1` records them."
        )
    if not grown:
        yield "bench-gate: all well"


def _minor(version: str) -> str:
    """A name and a version without what bug fixes change."""
    return ".".join(version.split(".")[:2])


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate", description="Count what a job costs, and judge it."
    )
    parser.add_argument("--update", action="store_true", help="record what is counted now")
    parser.add_argument("--server", default="redis", choices=["redis", "valkey"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
