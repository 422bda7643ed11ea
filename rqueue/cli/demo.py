"""``rqueue demo``: thin; what it shows is in ``rqueue.demo``."""

from __future__ import annotations

from pathlib import Path

import click

from rqueue.cli.options import duration, option


@click.command()
@click.argument(
    "directory",
    metavar="[DIR]",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@option("--lease", type=duration, default="2s", help="How long a silent worker is trusted.")
@option("--workers", type=click.IntRange(2, 16), default=2, help="Worker processes; one is killed.")
def demo(directory: Path | None, lease: float, workers: int) -> None:
    """Index the Python files under DIR, or Python's own library, and kill a worker half-way.

    Starts a server, a scheduler and workers of its own, and shows at the end that every job is
    accounted for; the exit code is 1 if one is not.
    """
    from rqueue.demo import run_demo

    raise SystemExit(run_demo(directory, lease=lease, workers=workers))
