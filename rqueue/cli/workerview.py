"""A worker as it is shown to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from rqueue.cli.output import print_facts, print_table
from rqueue.clock import now_ms

_COLUMNS = ("job", "task", "queue", "attempt", "runs for", "stopped by")


def print_worker(name: str, told: Mapping[str, Any]) -> None:
    """Print what a worker has said of itself, and the jobs that it runs."""
    jobs: list[dict[str, Any]] = told.get("jobs", [])
    busy = told.get("busy", 0)
    print_facts({
        "worker": name,
        "state": told.get("state", ""),
        "slots": f"{busy} of {told.get('slots', 0)} taken",
        "stuck threads": told.get("stuck_threads") or "",
        "attempts": told.get("attempts", ""),
        "memory": f"{told.get('memory', 0) / 1e6:.0f} MB",
        "event loop": f"late by {told.get('lag_s', 0.0):.3f} s at the worst of the last 30 s",
        "last fetch": _ago(told.get("fetched_at", 0.0)),
        "last end": _ago(told.get("finished_at", 0.0)),
    })  # fmt: skip
    if jobs:
        click.echo()
        print_table(_COLUMNS, [_row(job) for job in jobs], whole=("job",))
    if len(jobs) < busy:
        click.echo(f"and {busy - len(jobs)} more slots are taken")


def _row(job: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        job.get("id", ""),
        job.get("task", ""),
        job.get("queue", ""),
        job.get("attempt", ""),
        f"{job.get('seconds', 0.0):.1f} s",
        job.get("stopped_by", ""),
    )


def _ago(seconds: float) -> str:
    return f"{max(0.0, now_ms() / 1000 - seconds):.1f} s ago" if seconds else "never"
