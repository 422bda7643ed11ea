"""A soak as a picture: ``python -m benchmarks.soakchart FOLDER soak.svg``."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import msgspec
from matplotlib.figure import Figure

from benchmarks.chart import OURS
from benchmarks.soak import TARGET_S, Sample

_MB = 1e6


def draw(samples: list[Sample], file: Path) -> None:
    """Write it as an SVG: what was sent, how long it waited, and the memory of all that ran."""
    mpl.rcParams |= {"svg.hashsalt": "rqueue", "font.size": 8}
    figure = Figure(figsize=(9, 7), layout="constrained")
    minutes = [one.at / 60 for one in samples]
    rates = [0.0, *((b.sent - a.sent) / (b.at - a.at) for a, b in pairwise(samples))]
    rates[0] = rates[1] if len(rates) > 1 else 0.0
    panels = (
        ("jobs sent a second", rates),
        (f"99 of 100 waited less than, s (target {TARGET_S:g})", [one.p99_s for one in samples]),
        ("jobs that wait for a worker", [one.ready for one in samples]),
        ("worker that is never restarted, MB", [one.steady / _MB for one in samples]),
        (
            "two workers, one of them restarted each minute, MB",
            [one.restarted / _MB for one in samples],
        ),
        ("Redis: in use, and its process, MB", [one.server / _MB for one in samples]),
    )
    rows = figure.subplots(len(panels), sharex=True)
    for axes, (title, values) in zip(rows, panels, strict=True):
        axes.plot(minutes, values, color=OURS, linewidth=1)
        axes.set_title(title, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(0, 1.15 * max(*values, 1e-3))
    rows[-1].plot(minutes, [one.server_rss / _MB for one in samples], color="0.6", linewidth=1)
    rows[-1].set_ylim(0, 1.15 * max(one.server_rss for one in samples) / _MB)
    rows[-1].set_xlabel("minutes")
    rows[-1].set_xlim(0, max(minutes))
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    kept = Path(sys.argv[1], "samples.json").read_bytes()
    draw(msgspec.json.decode(kept, type=list[Sample]), Path(sys.argv[2]))
