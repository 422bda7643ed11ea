"""A day of load as a picture: ``python -m benchmarks.daychart day.svg``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.chart import OURS
from benchmarks.day import SLOTS, Second, play


def draw(day: list[Second], file: Path) -> None:
    """Write it as an SVG: what came, how many replicas there were, how long jobs waited."""
    mpl.rcParams |= {"svg.hashsalt": "rqueue", "font.size": 8}
    figure = Figure(figsize=(9, 5), layout="constrained")
    hours = [second / 3600 for second in range(0, len(day), 60)]
    minutes = [day[at : at + 60] for at in range(0, len(day), 60)]
    panels = (
        ("jobs a second", [sum(one.arrived for one in part) / 60 for part in minutes]),
        (f"replicas of {SLOTS} slots", [max(one.replicas for one in part) for part in minutes]),
        ("longest wait, s", [max(one.waited_s or 0 for one in part) for part in minutes]),
    )
    rows = figure.subplots(len(panels), sharex=True)
    for axes, (title, values) in zip(rows, panels, strict=True):
        axes.plot(hours, values, color=OURS, linewidth=1)
        axes.set_title(title, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, 24)
        axes.set_ylim(bottom=0)
    rows[-1].set_xticks(range(0, 25, 3), [f"{hour}:00" for hour in range(0, 25, 3)])
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    draw(play(), Path(sys.argv[1]))
