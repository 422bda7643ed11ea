"""What is done to schedules: run, pause, resume, delete, backfill."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import click

from rqueue.cli.options import Target, moment, option, with_json, with_target


@click.command()
@click.argument("name")
@with_target
@with_json
def run(name: str, target: Target, *, is_json: bool) -> None:
    """Run it now, beside all ticks, paused or not; prints the job's id."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import Refused
    from rqueue.cli.output import print_json
    from rqueue.errors import ConfigError

    app = app_for_questions(target)
    app.schedules_sync.get(name)
    try:
        job = app.schedules_sync.trigger(name)
    except ConfigError as error:
        raise Refused(str(error)) from None
    app.close_sync()
    if is_json:
        print_json({"id": job.id, "queue": job.queue})
    else:
        click.echo(job.id)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_target
@with_json
def pause(names: Sequence[str], target: Target, *, is_json: bool) -> None:
    """Let them fire only when they are told to."""
    _turn("pause", names, target, is_json=is_json)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_target
@with_json
def resume(names: Sequence[str], target: Target, *, is_json: bool) -> None:
    """Let them fire again, from now on; what they missed is not made up for."""
    _turn("resume", names, target, is_json=is_json)


@click.command()
@click.argument("name")
@option("--force", is_flag=True, help="Also if it is declared in code, which brings it back.")
@with_target
@with_json
def delete(name: str, target: Target, *, force: bool, is_json: bool) -> None:
    """Forget a schedule and its history; its jobs stay."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import Refused
    from rqueue.cli.output import note, print_json
    from rqueue.errors import ConfigError

    app = app_for_questions(target)
    app.schedules_sync.get(name)
    try:
        app.schedules_sync.delete(name, force=force)
    except ConfigError as error:
        raise Refused(f"{error}. To forget it all the same, add --force") from None
    app.close_sync()
    if is_json:
        print_json({name: "deleted"})
    else:
        note(f"{name}: deleted")


@click.command()
@click.argument("name")
@option("--from", "first", type=moment, required=True, metavar="TIME", help="ISO 8601, offset.")
@option("--to", "last", type=moment, required=True, metavar="TIME", help="ISO 8601, offset.")
@option("--yes", "is_sure", is_flag=True, help="Do it; without it the ticks are only counted.")
@with_target
@with_json
def backfill(name: str, target: Target, *, is_json: bool, is_sure: bool,
             **bounds: datetime) -> None:  # fmt: skip
    """Run all ticks from one moment to another now; without --yes, only say how many they are.

    What is there already makes no second job, so it is safe to do it again.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json

    first, last = bounds["first"], bounds["last"]
    if last < first:
        raise click.UsageError("--to is before --from")
    app = app_for_questions(target)
    if is_sure:
        ids = [job.id for job in app.schedules_sync.backfill(name, first, last)]
        count = len(ids)
    else:
        ids, count = [], len(app.schedules_sync.past(name, first, last))
    app.close_sync()
    if is_json:
        print_json({"ticks": count, "ids": ids})
        return
    for one in ids:
        click.echo(one)
    if not is_sure:
        note(f"{name}: {count:,} ticks; nothing was done. To run them now, add --yes")


COMMANDS = (run, pause, resume, delete, backfill)


def _turn(
    verb: Literal["pause", "resume"], names: Sequence[str], target: Target, *, is_json: bool
) -> None:
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json

    app = app_for_questions(target)
    there = app.schedules_sync
    for name in names:  # all or none: most likely a name is mistyped
        there.get(name)
    turn = there.pause if verb == "pause" else there.resume
    said = {name: turn(name) for name in names}
    app.close_sync()
    if is_json:
        print_json(said)
        return
    for name, answer in said.items():
        done = f"{verb}d" if answer != "already" else f"was {verb}d already"
        note(f"{name}: {done}")
