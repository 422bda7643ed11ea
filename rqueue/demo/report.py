"""What the demo prints at its end: two tables about the tree, the sums, the speeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rqueue.demo.indexing import FileIndex
from rqueue.demo.measures import Latency, Measures
from rqueue.demo.proof import Sum

_ROWS = 8
_PATH_WIDTH = 26


def tree_tables(root: Path, indexes: Sequence[FileIndex]) -> RenderableType:
    """The biggest modules beside the most imported ones, and one line on all."""
    beside = Table.grid(padding=(0, 2))
    beside.add_row(_biggest(root, indexes), _most_imported(indexes))
    return beside


def tree_line(indexes: Sequence[FileIndex]) -> str:
    """The whole tree in one sentence."""
    lines, functions = sum(one.lines for one in indexes), sum(one.functions for one in indexes)
    classes, odd = sum(one.classes for one in indexes), sum(bool(one.problem) for one in indexes)
    told = f"{lines:,} lines, {functions:,} functions, {classes:,} classes; {odd:,} unparsable"
    return f"{_count(len(indexes), 'file')}: {told}"


def sums_table(sums: Iterable[Sum]) -> RenderableType:
    """Each claim, its numbers, and whether it holds."""
    table = _table("Does it add up?")
    table.add_column("claim")
    table.add_column("numbers")
    table.add_column("")
    for one in sums:
        mark = Text("✓", "bold green") if one.holds else Text("✗", "bold red")
        table.add_row(one.claim, one.numbers, mark)
    return table


def speeds_table(speeds: Measures) -> RenderableType:
    """Latencies: in the backlog by priority, and of an idle system."""
    table = _table("How long from enqueue to start?")
    table.add_column("")
    for name in ("jobs", "p50", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    for priority, one in speeds.backlog.items():
        label = "all together" if priority == "all" else f"priority {priority}"
        table.add_row(f"the tree, enqueued at once: {label}", *_row(one))
    table.add_row("afterwards, one job at a time: an idle system", *_row(speeds.idle))
    return table


def speed_lines(speeds: Measures, lease_s: float) -> list[str]:
    """Throughput and recovery, in words."""
    told = [
        f"{speeds.throughput:,.0f} files a second; {_time(speeds.seconds)} for those not delayed"
    ]
    if speeds.recovery:
        first, last = speeds.recovery[0], speeds.recovery[-1]
        told.append(
            f"{_count(len(speeds.recovery), 'job')} of the killed worker ran again {first:.1f} to "
            f"{last:.1f} s after the kill; lease {lease_s:g} s"
        )
    if speeds.fenced:
        told.append(
            f"{_count(speeds.fenced, 'job')} ran again because a live worker was too slow to "
            "renew its lease: this machine is very busy"
        )
    return told


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _biggest(root: Path, indexes: Sequence[FileIndex]) -> Table:
    table = _table("Biggest modules")
    table.add_column("file", no_wrap=True)
    for name in ("lines", "defs", "classes"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in sorted(indexes, key=lambda one: (-one.lines, one.path))[:_ROWS]:
        numbers = (f"{value:,}" for value in (one.lines, one.functions, one.classes))
        table.add_row(_shortened(Path(one.path).relative_to(root).as_posix()), *numbers)
    return table


def _most_imported(indexes: Sequence[FileIndex]) -> Table:
    table = _table("Most imported modules")
    table.add_column("module", min_width=10)
    table.add_column("by files", justify="right")
    counted = Counter(name for one in indexes for name in one.imports)
    for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_ROWS]:
        table.add_row(Text(name), f"{count:,}")
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="cyan",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )


def _shortened(path: str) -> Text:
    """A path that fits; its end says most."""
    return Text(path if len(path) <= _PATH_WIDTH else "…" + path[1 - _PATH_WIDTH :])


def _row(one: Latency) -> tuple[str, str, str]:
    return f"{one.jobs:,}", _time(one.p50), _time(one.p99)


def _time(seconds: float) -> str:
    # Records have whole milliseconds: 0 means less than one.
    if seconds < 0.001:
        return "< 1 ms"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
