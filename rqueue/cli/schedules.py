"""``rqueue schedules``: which there are, when they tick, what became of their ticks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from rqueue.cli import schedulechanges
from rqueue.cli.options import Target, option, with_json, with_target
from rqueue.cli.scheduleevidence import run_times

if TYPE_CHECKING:
    from rqueue.schedules.info import Coming

_MOST_SHOWN = 10_000
_HISTORY = ("tick", "late", "what", "job")


@click.group()
def schedules() -> None:
    """List, run, pause and check schedules; when they tick."""


@schedules.command("list")
@with_target
@with_json
def list_schedules(target: Target, *, is_json: bool) -> None:
    """Every schedule: when it runs next, in its own zone, and how it fares."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json
    from rqueue.cli.scheduleview import print_schedules

    app = app_for_questions(target)
    found = app.schedules_sync.list()
    app.close_sync()
    if is_json:
        print_json(found)
    elif found:
        print_schedules(found)
    else:
        note(f"No schedules yet in namespace {app.store.namespace!r}.")


@schedules.command("show")
@click.argument("name")
@with_target
@with_json
def show_schedule(name: str, target: Target, *, is_json: bool) -> None:
    """One schedule, with its call and its rules."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import print_json
    from rqueue.cli.scheduleview import show

    app = app_for_questions(target)
    info = app.schedules_sync.get(name)
    app.close_sync()
    if is_json:
        print_json(info)
    else:
        show(info)


@schedules.command("next")
@click.argument("name", required=False)
@option("-n", "--count", type=click.IntRange(1, _MOST_SHOWN), default=10, help="How many ticks.")
@option("--cron", metavar="EXPRESSION", help="Of this expression instead; asks no server.")
@option("--tz", help="The zone of the expression; UTC unless said.")
@option("--from", "start", metavar="TIME", help="From then on; local time of the zone, or offset.")
@with_target
@with_json
def next_ticks(name: str | None, count: int, target: Target, *, is_json: bool,
               **asked: str | None) -> None:  # fmt: skip
    """The coming ticks of a schedule, or of --cron, and what changes of the clocks do to them."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.scheduleview import print_coming

    cron, tz, start = asked["cron"], asked["tz"], asked["start"]
    if bool(name) == (cron is not None):
        raise click.UsageError("give the name of a schedule, or --cron")
    if cron is not None:
        print_coming(_of_expression(cron, tz or "UTC", start, count), is_json=is_json)
        return
    if tz or start:
        raise click.UsageError("--tz and --from go with --cron")
    app = app_for_questions(target)
    found = app.schedules_sync.coming(name or "", count)
    app.close_sync()
    print_coming(found, is_json=is_json)


@schedules.command()
@click.argument("name")
@option("-n", "--count", type=click.IntRange(1), default=20, help="The latest so many ticks.")
@with_target
@with_json
def history(name: str, count: int, target: Target, *, is_json: bool) -> None:
    """What became of the latest ticks, the latest first; a hundred are remembered."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json, print_table

    app = app_for_questions(target)
    found = app.schedules_sync.history(name, count)
    app.close_sync()
    if is_json:
        print_json(found)
    elif found:
        print_table(
            _HISTORY,
            [
                (f"{one.tick:%Y-%m-%d %H:%M:%S}Z", f"{(one.at - one.tick).total_seconds():.1f} s",
                 one.said + (f" since {one.since:%Y-%m-%d %H:%M:%S}Z" if one.since else ""),
                 one.job_id)
                for one in found
            ],
            whole=("job",),
        )  # fmt: skip
    else:
        note(f"{name}: no tick yet")


@schedules.command()
@with_target
@with_json
def lint(target: Target, *, is_json: bool) -> None:
    """Say what is dubious about the schedules; exit code 1 if anything is."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import Exit
    from rqueue.cli.output import note, print_json
    from rqueue.cli.scheduleview import print_findings
    from rqueue.clock import now_ms
    from rqueue.schedules.lint import findings

    app = app_for_questions(target)
    there = app.schedules_sync.list()
    found = findings(there, now_ms(), run_times(app, there))
    app.close_sync()
    if is_json:
        print_json(found)
    elif found:
        print_findings(found)
    else:
        note(f"Nothing dubious (schedules: {len(there)}).")
    if found:
        raise SystemExit(Exit.FAILED)


def _of_expression(text: str, tz: str, start: str | None, count: int) -> list[Coming]:
    from itertools import islice

    from rqueue.clock import now_ms
    from rqueue.cron import Cron
    from rqueue.schedules.info import coming_of
    from rqueue.zone import LAST_S

    cron = Cron.parse(text, tz)
    first_ms = now_ms() if start is None else _start_ms(start, tz)
    return [coming_of(cron, one) for one in islice(cron.between(first_ms, LAST_S * 1000), count)]


def _start_ms(text: str, tz: str) -> int:
    from rqueue.zone import zone_of

    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone_of(tz))
        return round(found.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no time; write it like 2030-01-31 or 2030-01-31T08:00:00+01:00",
            param_hint="--from",
        ) from None


for _command in schedulechanges.COMMANDS:
    schedules.add_command(_command)
