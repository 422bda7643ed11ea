"""A schedule as it is shown: when it ticks, how it fares, what is odd about its days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from rqueue.cli.jobview import span
from rqueue.cli.output import as_json, clean, note, print_facts, print_json, print_table
from rqueue.schedules.info import Coming, ScheduleInfo
from rqueue.schedules.lint import Finding
from rqueue.zone import zone_of

_COLUMNS = ("name", "queue", "task", "when", "next run", "last run", "state")
_ODDITIES = {
    "moved": "moved: its local time does not exist, it fires when the clock jumps",
    "repeated": "repeated: its local time comes twice",
}


def print_schedules(found: Sequence[ScheduleInfo]) -> None:
    """One line for each, and what is wrong with those that do not fire."""
    print_table(
        _COLUMNS,
        [
            (one.name, one.queue, one.task, when(one), _next_text(one),
             span(one.last_run) if one.last_run else "", state(one))
            for one in found
        ],
        whole=("name", "state"),
    )  # fmt: skip
    for one in found:
        if one.problem:
            note(f"{one.name}: {one.problem}")


def show(info: ScheduleInfo) -> None:
    """A schedule as lines for people."""
    named = [f"{name}={as_json(value)}" for name, value in info.kwargs.items()]
    facts = {
        "name": info.name,
        "task": info.task,
        "arguments": ", ".join([*map(as_json, info.args), *named]),
        "queue": info.queue,
        "when": when(info),
        "dst": info.dst if info.cron else "",
        "from": _moment(info, info.start),
        "until": _moment(info, info.end),
        "jitter": f"{info.jitter_s:g} s" if info.jitter_s else "",
        "missed": info.missed,
        "overlap": info.overlap,
        "declared": {"code": "in code", "api": "by the API"}.get(info.origin, info.origin),
        "state": state(info),
        "problem": info.problem,
        "created": _moment(info, info.created),
        "next run": _moment(info, info.next_run),
        "last run": _moment(info, info.last_run),
        "last success": _moment(info, info.last_success),
        "last job": info.last_job,
    }
    print_facts(facts)


def when(info: ScheduleInfo) -> str:
    """The expression with its zone, or the period."""
    if info.cron:
        return f"{info.cron} {info.tz}"
    return f"every {info.every_s:g}s" if info.every_s else ""


def state(info: ScheduleInfo) -> str:
    """``problem``, ``paused`` or ``open``."""
    if info.problem:
        return "problem"
    return "paused" if info.is_paused else "open"


def print_coming(found: Sequence[Coming], *, is_json: bool) -> None:
    """The ticks that are to come, and what the odd ones mean."""
    if is_json:
        print_json([{"tick": one.tick, "local": one.local, "oddity": one.oddity} for one in found])
        return
    if not found:
        note("It never fires again.")
        return
    print_table(
        ("local", "UTC", "clock"),
        [
            (f"{one.local:%a} {one.local.isoformat(' ')}", f"{one.tick:%Y-%m-%d %H:%M:%S}",
             one.oddity)
            for one in found
        ],
    )  # fmt: skip
    for oddity, text in _ODDITIES.items():
        if any(one.oddity == oddity for one in found):
            note(text)


def print_findings(found: Sequence[Finding]) -> None:
    """What is dubious, in paragraphs: tables would break the sentences."""
    for one in found:
        click.echo(clean(f"{one.check}: {', '.join(one.schedules)}\n  {one.text}"))


def _next_text(info: ScheduleInfo) -> str:
    if info.next_run is None:
        return ""
    return f"{_local(info, info.next_run):%Y-%m-%d %H:%M} ({span(info.next_run)})"


def _moment(info: ScheduleInfo, moment: datetime | None) -> str:
    if moment is None:
        return ""
    return f"{_local(info, moment).isoformat(' ', 'seconds')} ({span(moment)})"


def _local(info: ScheduleInfo, moment: datetime) -> datetime:
    zone: Any = zone_of(info.tz) if info.tz else UTC
    return moment.astimezone(zone)
