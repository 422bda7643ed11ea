"""What commands print: data to stdout, as a table or as JSON; everything else to stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import click

# Text from jobs is a stranger's: escape sequences would drive the reader's terminal, and
# bidirectional marks would show it in another order than it is read.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """Text without control characters but line breaks and tabs."""
    return _CONTROL.sub("", str(text))


def one_line(text: object, width: int = 100) -> str:
    """Text on one line, cut to a width."""
    line = " ".join(clean(text).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def note(text: object) -> None:
    """Say something that is not data."""
    click.echo(clean(text), err=True)


def print_json(value: Any) -> None:
    """Print one JSON document on one line."""
    click.echo(as_json(value))


def as_json(value: Any) -> str:
    """A value as JSON; what JSON lacks is written as text, bytes as base64."""
    import msgspec

    plain: Any = msgspec.to_builtins(value, enc_hook=repr, str_keys=True)
    return msgspec.json.encode(plain).decode()


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    whole: Collection[str] = (),
    right: Collection[str] = (),
) -> None:
    """Print a table; numbers stand to the right. Lines are not cut when nobody reads along.

    Args:
        columns: their heads.
        rows: a value for each column.
        whole: columns that are not folded, because their values are copied.
        right: columns whose texts stand to the right as well.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, column in enumerate(columns):
        is_number = bool(listed) and all(isinstance(row[index], int) for row in listed)
        table.add_column(
            column,
            justify="right" if is_number or column in right else "left",
            overflow="fold",
            no_wrap=column in whole,
        )
    for row in listed:
        table.add_row(*(Text(one_line(cell, 1000)) for cell in row))
    is_read = sys.stdout.isatty()
    Console(highlight=False, width=None if is_read else 10_000).print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print one fact on each line; those without a value are left out."""
    known = {name: clean(value) for name, value in facts.items() if value not in ("", None)}
    width = max(map(len, known), default=0)
    for name, value in known.items():
        indented = value.replace("\n", "\n" + " " * (width + 2))
        click.echo(f"{name:<{width}}  {indented}")
