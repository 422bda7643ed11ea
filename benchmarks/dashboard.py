"""The dashboard of ``deploy/grafana``, drawn without Grafana from a real Prometheus.

``python -m benchmarks.dashboard dashboard.png`` works through a few busy minutes first. Every panel
is drawn where, and from the expressions with which, Grafana would draw it; how is only alike.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from PIL import Image

from benchmarks.prometheus import Series
from benchmarks.shift import Look, worked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHBOARD = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "rqueue.json"
PAPER, CARD, INK, FAINT = "#111217", "#181b1f", "#ccccdc", "#5a606c"
COLOURS = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0",
    "#37872d", "#fade2a", "#447ebc", "#c15c17", "#890f02", "#0a437c",
)  # fmt: skip
_COLUMNS, _COLUMN_IN, _ROW_IN, _DPI = 24, 0.68, 0.38, 100
_LONGEST_LEGEND = 8
_GAP = 1.5
"""Of so many steps without a point a line is broken, as it is in Grafana."""
_BYTES = ("B", "KiB", "MiB", "GiB")
_SECONDS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))


def panels() -> list[dict[str, Any]]:
    """Those of the dashboard, rows included."""
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> list[str]:
    """All that they ask."""
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def in_unit(value: float, unit: str) -> str:
    """A number as Grafana writes it: ``s``, ``bytes``, ``percentunit``, ``ops`` or ``short``."""
    if not math.isfinite(value):
        return str(value)
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit == "bytes":
        power = min(int(math.log(max(abs(value), 1), 1024)), len(_BYTES) - 1)
        return f"{value / 1024**power:.3g} {_BYTES[power]}"
    if unit == "s" and value:
        size, name = next((one for one in _SECONDS if abs(value) >= one[0] * 0.999), _SECONDS[-1])
        return f"{value / size:.3g} {name}"
    text = f"{value / 1000:.3g}K" if abs(value) >= 1000 else f"{value:.3g}"
    return {"s": "0 s", "ops": f"{text} ops/s"}.get(unit, text)


def draw(look: Look, file: Path) -> None:
    """Write it, as a PNG or an SVG by its ending."""
    mpl.rcParams |= {"font.size": 7, "text.color": INK, "axes.labelcolor": INK}
    shown = panels()
    rows = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in shown)
    figure = Figure(figsize=(_COLUMNS * _COLUMN_IN, rows * _ROW_IN), facecolor=PAPER)
    grid = GridSpec(rows, _COLUMNS, figure, left=0, right=1, bottom=0, top=1, hspace=0, wspace=0)
    for panel in shown:
        at = panel["gridPos"]
        cell = figure.add_subplot(
            grid[at["y"] : at["y"] + at["h"], at["x"] : at["x"] + at["w"]], facecolor=CARD
        )
        _bare(cell)
        if panel["type"] == "row":
            cell.set_facecolor(PAPER)
            cell.text(0.004, 0.4, panel["title"], fontsize=10, weight="bold", va="center")
            continue
        _draw_panel(cell, panel, look, at["h"] * _ROW_IN)
    if file.suffix != ".png":
        figure.savefig(file, facecolor=PAPER)
        return
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI, facecolor=PAPER)
    # A third of the size, and nobody sees it.
    Image.open(drawn).convert("RGB").quantize(128).save(file, optimize=True)


def _draw_panel(cell: Axes, panel: dict[str, Any], look: Look, height_in: float) -> None:
    title_in, axis_in, legend_in = 0.28, 0.22, 0.34
    cell.text(0.02, 1 - 0.14 / height_in, panel["title"], fontsize=8, va="center")
    found = list(_named(panel, look))
    if not any(one.points for _, one in found):
        cell.text(0.5, 0.45, "No data", color=FAINT, ha="center", fontsize=9)
        return
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "stat":
        _draw_stat(cell, found, unit, look)
        return
    low = (axis_in + legend_in) / height_in
    axes = cell.inset_axes((0.13, low, 0.84, 1 - low - title_in / height_in), facecolor=CARD)
    axes.tick_params(colors=INK, length=0, labelsize=6)
    axes.spines[:].set_visible(False)
    axes.set_xlim(0, (look.end - look.begin) / 60)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} min"))
    if panel["type"] == "heatmap":
        _draw_heatmap(axes, found, unit, look)
        return
    axes.grid(color=INK, alpha=0.08, linewidth=0.6)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=unit == "short"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: in_unit(value, unit)))
    scale = panel["fieldConfig"]["defaults"]
    _draw_lines(axes, found, look, is_stacked=scale["custom"]["stacking"]["mode"] == "normal")
    if "min" in scale:
        top = scale.get("max", 1.05 * axes.dataLim.y1 or 1)
        axes.set_ylim(scale["min"] - 0.02 * top, 1.02 * top)
    if unit == "bytes":
        axes.yaxis.set_major_locator(
            MultipleLocator(2 ** math.ceil(math.log2(axes.dataLim.y1 / 5)))
        )
    _draw_legend(cell, [name for name, _ in found], legend_in / height_in)


def _named(panel: dict[str, Any], look: Look) -> Iterator[tuple[str, Series]]:
    for target in panel["targets"]:
        for one in look.found[target["expr"]]:
            yield _legend(target["legendFormat"], one.labels), one


def _legend(form: str, labels: Mapping[str, str]) -> str:
    for key, value in labels.items():
        form = form.replace(f"{{{{{key}}}}}", value)
    return form


def _over_time(one: Series, look: Look) -> tuple[list[float], list[float]]:
    """Minutes and values, with a gap where there was nothing."""
    minutes: list[float] = []
    values: list[float] = []
    before = math.inf
    for at, value in one.points:
        if at - before > _GAP * look.step_s:
            minutes.append((at - look.begin) / 60)
            values.append(math.nan)
        minutes.append((at - look.begin) / 60)
        values.append(value)
        before = at
    return minutes, values


def _draw_stat(cell: Axes, found: Sequence[tuple[str, Series]], unit: str, look: Look) -> None:
    minutes, values = _over_time(found[0][1], look)
    line = cell.inset_axes((0, 0, 1, 0.4), facecolor="none")
    line.axis("off")
    line.fill_between(minutes, values, color=COLOURS[0], alpha=0.2, linewidth=0)
    line.plot(minutes, values, color=COLOURS[0], linewidth=0.8)
    line.set_xlim(0, (look.end - look.begin) / 60)
    last = [value for value in values if math.isfinite(value)]
    text = in_unit(last[-1], unit) if last else "NaN"
    cell.text(0.5, 0.58, text, color=COLOURS[0], fontsize=20, ha="center", va="center")


def _draw_lines(
    axes: Axes, found: Sequence[tuple[str, Series]], look: Look, *, is_stacked: bool
) -> None:
    ground: dict[float, float] = {}
    for number, (_, one) in enumerate(found):
        colour = COLOURS[number % len(COLOURS)]
        minutes, values = _over_time(one, look)
        if is_stacked:
            below = [ground.get(at, 0.0) for at in minutes]
            values = [value + under for value, under in zip(values, below, strict=True)]
            axes.fill_between(minutes, below, values, color=colour, alpha=0.3, linewidth=0)
            ground |= dict(zip(minutes, values, strict=True))
        axes.plot(minutes, values, color=colour, linewidth=1)


def _draw_heatmap(axes: Axes, found: Sequence[tuple[str, Series]], unit: str, look: Look) -> None:
    """Each bucket without what is in the smaller ones, as Grafana shows them."""
    bounds = sorted(((float(name), one) for name, one in found), key=lambda pair: pair[0])
    times = sorted({at for _, one in bounds for at, _ in one.points})
    by_bound = [[dict(one.points).get(at, 0.0) for at in times] for _, one in bounds]
    cells = [
        [max(0.0, value - under) or math.nan for value, under in zip(row, below, strict=True)]
        for row, below in zip(by_bound, [[0.0] * len(times), *by_bound], strict=False)
    ]
    edges = [(at - look.begin) / 60 for at in (*times, times[-1] + look.step_s)]
    axes.pcolormesh(edges, range(len(cells) + 1), cells, cmap="inferno")
    names = ["+Inf" if math.isinf(bound) else in_unit(bound, unit) for bound, _ in bounds]
    axes.set_yticks([place + 1 for place in range(len(names))], names, fontsize=4.5)


def _draw_legend(cell: Axes, names: Sequence[str], height: float) -> None:
    """In lines below, as many as there is room for."""
    told = [*names[:_LONGEST_LEGEND]]
    left, line = 0.02, 0
    for number, name in enumerate(told):
        width = 0.024 + len(name) * 0.0135
        if left + width > 1:
            left, line = 0.02, line + 1
            if line > 1:
                cell.text(0.97, height * 0.22, f"+{len(names) - number}", fontsize=6, ha="right")
                return
        at = height * (0.72 - 0.5 * line)
        cell.plot([left, left + 0.015], [at, at], color=COLOURS[number % len(COLOURS)], linewidth=2)
        cell.text(left + 0.02, at, name, fontsize=6, va="center")
        left += width + 0.01
    if len(names) > len(told):
        cell.text(0.97, height * 0.22, f"+{len(names) - len(told)}", fontsize=6, ha="right")


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for side in axes.spines.values():
        side.set(color=PAPER, linewidth=3)


def _main(file: Path) -> None:
    draw(worked(expressions()), file)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
