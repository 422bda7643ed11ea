"""How the report of ``rqueue doctor`` is shown: the worst first, what mends it beneath."""

from __future__ import annotations

import textwrap
from collections import Counter

import click

from rqueue.cli.output import clean, print_table
from rqueue.doctor.report import Report
from rqueue.doctor.units import percent, size
from rqueue.doctor.verdict import Finding, Status

_MARKS = {
    Status.FAILURE: ("FAILURE", "red"),
    Status.WARNING: ("WARNING", "yellow"),
    Status.NOTICE: ("notice", "cyan"),
    Status.UNKNOWN: ("unknown", "magenta"),
    Status.OK: ("ok", "green"),
}
_COLUMNS = ("family", "keys", "bytes", "each", "of memory", "a minute", "")
_WIDTH = 92
_INDENT = " " * 10
_ID = 23


def print_report(report: Report, *, shows_all: bool = False) -> None:
    """Print it; click leaves the colours out where nobody reads along."""
    click.echo(f"{clean(report.url)}, namespace {report.namespace}\n")
    for one in report.findings:
        _print_finding(one, is_full=shows_all or one.status is not Status.OK)
    _print_memory(report)
    counts = Counter(one.status for one in report.findings)
    said = ", ".join(f"{counts[status]} {_MARKS[status][0].lower()}" for status in _MARKS)
    click.echo(f"\n{len(report.findings)} checks: {said}")


def _print_finding(one: Finding, *, is_full: bool) -> None:
    word, colour = _MARKS[one.status]
    mark = click.style(f"{word:<9}", fg=colour, bold=one.status is Status.FAILURE)
    if not is_full:
        click.echo(f"{mark} {one.id:<{_ID}} {_wrapped(one.found, len(_INDENT) + _ID + 1)}")
        return
    click.echo(f"{mark} {click.style(one.id, bold=True)}")
    click.echo(_INDENT + _wrapped(one.found))
    click.echo(_INDENT + click.style(_wrapped(one.why), dim=True))
    if one.fix:
        click.echo(_INDENT + _wrapped(f"-> {one.fix}"))


def _wrapped(text: str, indent: int = len(_INDENT)) -> str:
    """Folded behind a margin that already stands there."""
    margin = " " * indent
    folded = textwrap.fill(
        clean(text), _WIDTH, initial_indent=margin, subsequent_indent=margin,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return folded[indent:]


def _print_memory(report: Report) -> None:
    memory = report.memory
    if memory.refused:
        click.echo(f"\nMemory by family: not all is told ({memory.refused} is refused)")
    if not memory.families:
        return
    click.echo(f"\nMemory by family, of {memory.listed:,} of {memory.keys:,} keys:\n")
    print_table(
        _COLUMNS,
        [
            (one.name, one.keys, size(one.bytes), size(one.bytes / one.keys),
             "" if one.share is None else percent(one.share),
             "" if one.bytes_per_minute is None else _signed(one.bytes_per_minute),
             "" if one.is_exact else "estimated")
            for one in memory.families
        ],
    )  # fmt: skip
    if memory.used_bytes is not None:
        rest = memory.used_bytes - sum(one.bytes for one in memory.families)
        click.echo(f"{size(max(0, rest))} more are tables of keys, buffers and the server itself.")


def _signed(rate: int) -> str:
    return f"{'+' if rate > 0 else ''}{size(rate)}" if rate else "0"
