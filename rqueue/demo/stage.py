"""Where the demo talks: the story and the bar on standard error, the tables on standard output."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.terminal_theme import MONOKAI

from rqueue.clock import monotonic

_PICTURE_WIDTH = 84
_FONTS = "Fira Code, ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
_PLAIN_LINE_EVERY_S = 5.0


class Stage:
    """What the reader sees, and a picture of it for those who were not there.

    Args:
        command: what the reader typed, for the picture.
        capture: an SVG file to write, or None.
    """

    def __init__(self, command: str, capture: Path | None = None) -> None:
        self._capture = capture
        self._tables = Console()
        self._story = Console(stderr=True)
        self._picture = Console(
            record=True, width=_PICTURE_WIDTH, file=io.StringIO(), force_terminal=True,
            color_system="truecolor", legacy_windows=False,
        )  # fmt: skip
        self._command = command
        self._picture.print(f"[bold green]$[/] {escape(command)}", highlight=False)

    def say(self, text: str) -> None:
        """Tell one line of the story; above the bar, if there is one."""
        self._story.print(text, highlight=False, soft_wrap=True)
        self._picture.print(text, highlight=False)

    def complain(self, text: str) -> None:
        """Say what went wrong."""
        self._story.print(f"rqueue demo: {text}", style="bold red", markup=False, soft_wrap=True)
        self._picture.print(f"rqueue demo: {text}", style="bold red", markup=False)

    def show(self, *renderables: RenderableType) -> None:
        """Print what the demo is for."""
        for console in (self._tables, self._picture):
            console.print(*renderables, sep="\n", highlight=False)

    def bar(self, total: int) -> Bar:
        """A bar of so many jobs; ``with`` it."""
        return Bar(self._story, self._picture, total)

    def save(self) -> None:
        """Write the picture, if one is wanted."""
        if self._capture is None:
            return
        drawn = self._picture.export_svg(
            title=self._command, theme=MONOKAI, unique_id="rqueue-demo"
        )
        # A picture that fetches fonts from the net is shown without them in most places anyway.
        drawn = re.sub(r"@font-face\s*\{.*?\}\s*", "", drawn, flags=re.DOTALL)
        drawn = drawn.replace("Fira Code, monospace", _FONTS)
        self._capture.write_text(drawn, encoding="utf-8")


class Bar:
    """The progress of all jobs: live on a terminal, a line now and then elsewhere."""

    def __init__(self, story: Console, picture: Console, total: int) -> None:
        self._story = story
        self._picture = picture
        self.total = total
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            BarColumn(bar_width=36),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
            console=story,
            disable=not story.is_terminal,
        )
        self._task = self._progress.add_task("", total=total, now="")
        self._said_at = monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def move(self, done: int, now: str) -> None:
        """Show how far it is, and what is going on."""
        self._progress.update(self._task, completed=done, now=now)
        if self._progress.disable and monotonic() >= self._said_at + _PLAIN_LINE_EVERY_S:
            self._said_at = monotonic()
            self._story.print(f"  {done:,} of {self.total:,} jobs done; {now}", highlight=False)

    def keep(self) -> None:
        """Put the bar as it stands into the picture."""
        self._picture.print(self._progress.get_renderable())
