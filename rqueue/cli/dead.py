"""``rqueue dead``: jobs that are out of attempts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import click

from rqueue.cli.options import Target, option, with_json, with_queue, with_target

if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.job import JobInfo

_MANY = 100
_PAGE = 100
_COLUMNS = ("id", "queue", "task", "attempts", "died", "reason", "last error")


@click.group()
def dead() -> None:
    """List, show, retry and discard dead jobs."""


@dead.command("list")
@option("--limit", type=click.IntRange(0), default=50, help="The latest so many; 0 = all.")
@with_queue
@with_target
@with_json
def list_dead(limit: int, queue: str | None, target: Target, is_json: bool) -> None:
    """Dead jobs, the latest first."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.jobview import job_record
    from rqueue.cli.output import note, print_json, print_table

    app = app_for_questions(target)
    counts = _counts(app, queue)
    shown = _latest(app, list(counts), limit)
    app.close_sync()
    if is_json:
        print_json([job_record(info) for info in shown])
    elif shown:
        print_table(_COLUMNS, [_row(info) for info in shown])
    else:
        note("No dead jobs.")
    left = sum(counts.values()) - len(shown)
    if left > 0:
        note(f"… {left} more (use --limit 0)")


@dead.command()
@click.argument("job_id", metavar="ID")
@with_queue
@with_target
@with_json
def show(job_id: str, queue: str | None, target: Target, is_json: bool) -> None:
    """A dead job with its arguments and the error of every attempt."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import CommandError, Exit
    from rqueue.cli.job import find_job
    from rqueue.cli.jobview import job_facts, job_record
    from rqueue.cli.output import print_facts, print_json
    from rqueue.job import JobState

    app = app_for_questions(target)
    info = find_job(app, job_id, queue).info_sync()
    app.close_sync()
    if info.state != JobState.DEAD:
        raise CommandError(f"job {job_id!r} is not dead: it is {info.state}", Exit.NOT_FOUND)
    if is_json:
        print_json(job_record(info))
    else:
        print_facts(job_facts(info))


with_all = option("--all", "is_all", is_flag=True, help="All of the queue, or of all queues.")
with_yes = option("--yes", is_flag=True, help=f"Also if these are more than {_MANY}.")


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@with_all
@with_yes
@with_queue
@with_target
@with_json
def retry(**given: object) -> None:
    """Let dead jobs run again, with all their attempts."""
    _change("retry", **given)


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@with_all
@with_yes
@with_queue
@with_target
@with_json
def discard(**given: object) -> None:
    """Forget dead jobs for good."""
    _change("discard", **given)


def _change(verb: Literal["retry", "discard"], **given: object) -> None:
    """Do it to some or to all; exit code 3 if one of them is not there."""
