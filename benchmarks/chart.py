"""The medians of a run, as a picture: a panel for each measure, a bar for each peer.

``python -m benchmarks.chart results.json results.svg`` draws a run again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.peers import PEERS, RQUEUE
from benchmarks.report import Run, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, THEIRS, INK, FAINT = "#0b7a75", "#c3cad1", "#24292f", "#8b949e"
_COLUMNS = 3
_WIDTH_IN, _PANEL_IN = 11.0, 2.5
_TEXT_PT = 8


class Panel(NamedTuple):
    """What one panel shows.

    Attributes:
        title: above it.
        measure: of :data:`benchmarks.measures.MEASURES`.
        column: of its numbers.
    """

    title: str
    measure: str
    column: str


MORE = "more is better"
LESS = "less is better"
PANELS = (
    Panel("drain with results, jobs/s", "drain", "jobs/s"),
    Panel("drain without results, jobs/s", "drain, no results", "jobs/s"),
    Panel("two workers, jobs/s", "drain, two workers", "jobs/s"),
    Panel("enqueue one, awaited, jobs/s", "enqueue one", "jobs/s"),
    Panel("enqueue, 100 at once, jobs/s", "enqueue 100 at once", "jobs/s"),
    Panel("enqueue many, jobs/s", "enqueue many", "jobs/s"),
    Panel("start when idle, ms, median", "latency", "start p50, ms"),
    Panel("result when idle, ms, median", "latency", "result p50, ms"),
    Panel("1,000 due together, ms late, median", "due together", "p50, ms"),
)


def draw(run: Run, file: Path) -> None:
    """Write the picture, an SVG, of what was measured and has a panel, if anything has."""
    shown = [(panel, bars) for panel in PANELS if (bars := _bars(run, panel))]
    if not shown:
        file.unlink(missing_ok=True)  # an older run's would stand beside this one's numbers
        return
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure((_WIDTH_IN, _PANEL_IN * rows + 0.6), layout="constrained")
    figure.suptitle(
        f"rqueue beside its rivals: {run.server}, Python {run.python}, {run.date}, medians",
        fontsize=_TEXT_PT + 3, color=INK, x=0.01, ha="left",
    )  # fmt: skip
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    for axes, (panel, bars) in zip(panels, shown, strict=False):
        _draw_panel(axes, panel, bars)
    # Text as text, and the same bytes for the same numbers.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rqueue"}):
        figure.savefig(file, format="svg", metadata={"Date": None})


def _bars(run: Run, panel: Panel) -> dict[str, float]:
    """By peer, the best first. The limit is no queue: it has no bar."""
    found = {
        name: numbers[panel.column]
        for name in PEERS
        if name != "limit" and panel.column in (numbers := run.median(panel.measure, name))
    }
    best_first = sorted(found, key=found.__getitem__, reverse=panel.column == "jobs/s")
    return {name: found[name] for name in best_first}


def _draw_panel(axes: Axes, panel: Panel, bars: dict[str, float]) -> None:
    axes.set_axis_on()
    names = list(bars)
    colours = [OURS if name == RQUEUE.name else THEIRS for name in names]
    drawn = axes.barh(range(len(names)), list(bars.values()), color=colours, height=0.7)
    labels = [_told(value) for value in bars.values()]
    axes.bar_label(drawn, labels, padding=3, fontsize=_TEXT_PT, color=INK)
    axes.set_yticks(range(len(names)), names, fontsize=_TEXT_PT, color=INK)
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name == RQUEUE.name else "normal")
    axes.invert_yaxis()
    axes.margins(x=0.22)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(panel.title, fontsize=_TEXT_PT + 1, color=INK, loc="left", fontweight="bold")
    better = MORE if panel.column == "jobs/s" else LESS
    axes.set_xlabel(better, fontsize=_TEXT_PT - 1, color=FAINT, loc="left")


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def read(file: Path) -> Run:
    """A run, as ``make bench`` wrote it."""
    told = json.loads(file.read_text())
    samples = [Sample(**one) for one in told.pop("samples")]
    return Run(**told, samples=samples)


if __name__ == "__main__":
    draw(read(Path(sys.argv[1])), Path(sys.argv[2]))
