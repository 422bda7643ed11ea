"""Where the demo talks: the story and the bar on standard error, the tables on standard output."""

from __future__ import annotations

from typing import Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from rqueue.clock import monotonic

_PLAIN_LINE_EVERY_S = 5.0


class Stage:
    """What the reader sees."""

    def __init__(self) -> None:
        self._tables = Console()
        self._story = Console(stderr=True)

    def say(self, text: str) -> None:
        """Tell one line of the story; above the bar, if there is one."""
        self._story.print(text, highlight=False, soft_wrap=True)

    def complain(self, text: str) -> None:
        """Say what went wrong."""
        self._story.print(f"rqueue demo: {text}", style="bold red", markup=False, soft_wrap=True)

    def show(self, *renderables: RenderableType) -> None:
        """Print what the demo is for."""
        self._tables.print(*renderables, sep="\n", highlight=False)

    def bar(self, total: int) -> Bar:
        """A bar of so many jobs; ``with`` it."""
        return Bar(self._story, total)


class Bar:
    """The progress of all jobs: live on a terminal, a line now and then elsewhere."""

    def __init__(self, story: Console, total: int) -> None:
        self._story = story
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
