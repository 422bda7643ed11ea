"""``rqueue enqueue``: a job from the shell, by the name of its task."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rqueue.cli.options import (
    Target,
    bundled,
    duration,
    moment,
    option,
    with_json,
    with_target,
)
from rqueue.names import PRIORITIES

if TYPE_CHECKING:
    from rqueue.durability import Durability
    from rqueue.handle import Job
    from rqueue.options import CallOptions
    from rqueue.task import Task

DURABILITIES = ("local", "fsync", "replicated")
"""Here once more: what they are is too heavy for ``--help``."""
_LOOKS_LIKE_DURATION = re.compile(r"\d+(\.\d+)?(ms|s|m|h|d)?\Z")


@dataclass(frozen=True)
class Sending:
    """Settings of this one job; None = the task's own."""

    delay: float | None
    run_at: datetime | None
    queue: str | None
    priority: str | None
    job_id: str | None
    unique: str | None
    timeout: float | None
    expires: float | None
    deadline: float | None
    durability: str | None
    replicas: int | None

    def options(self) -> CallOptions:
        """What ``task.options`` takes."""
        chosen: Any = {name: value for name, value in vars(self).items() if value is not None}
        replicas = chosen.pop("replicas", None)
        if replicas is not None:
            chosen["durability"] = self._replicated(replicas)
        return chosen

    def _replicated(self, replicas: int) -> Durability:
        from rqueue.durability import Durability

        if self.durability != "replicated":
            raise click.UsageError("--replicas goes with --durability replicated")
        return Durability(mode="replicated", replicas=replicas)


class WaitCommand(click.Command):
    """``--wait`` takes its value after an equals sign only, or it would swallow the task."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a lone ``--wait`` an empty value."""
        end = args.index("--") if "--" in args else len(args)
        for index in range(end):
            if args[index] != "--wait":
                continue
            follower = args[index + 1] if index + 1 < end else ""
            if _LOOKS_LIKE_DURATION.match(follower):
                raise click.UsageError(
                    f"write --wait={follower}, with an equals sign; or, if {follower} is an "
                    "argument of the task, put --wait behind it",
                    ctx,
                )
            args[index] = "--wait="
        return super().parse_args(ctx, args)


def _patience(value: str) -> float:
    """Seconds to wait; without a value as long as it takes."""
    return duration(value) if value else float("inf")


with_sending = bundled(
    "sending",
    Sending,
    option("--in", "delay", type=duration, metavar="DURATION", help="Run it that much later."),
    option("--at", "run_at", type=moment, metavar="TIME", help="Run it then: ISO 8601, offset."),
    option("-q", "--queue", help="Queue; without it, the task's."),
    option("--priority", type=click.Choice(PRIORITIES), help="Without it, the task's."),
    option("--id", "job_id", help="An id of your own; the same job twice is a duplicate."),
    option("--unique", help="A key that no other unfinished job of the queue may hold."),
    option("--timeout", type=duration, metavar="DURATION", help="Longest time of one attempt."),
    option("--expires", type=duration, metavar="DURATION", help="Not started later than this."),
    option("--deadline", type=duration, metavar="DURATION", help="No attempt runs beyond this."),
    option(
        "--durability",
        type=click.Choice(DURABILITIES),
        help="Wait for this; without it, the task's.",
    ),
    option("--replicas", type=int, help="With replicated: how many must have it; 1 unless said."),
)


@click.command(cls=WaitCommand)
@click.argument("task")
@click.argument("args", nargs=-1, metavar="[ARG]...")
@option("-k", "--keyword", "keywords", multiple=True, metavar="NAME=VALUE", help="A named ARG.")
@with_sending
@option(
    "--wait",
    "patience",
    type=_patience,
    metavar="[=DURATION]",
    help="Wait for the result, and print it.",
)
@option(
    "--version",
    type=click.IntRange(1, 1_000_000),
    help="Of the arguments, if it is not that of the code, or 1 without code.",
)
@option("--by-name", "is_by_name", is_flag=True, help="Do without the code, even if it is there.")
@with_target
@with_json
def enqueue(**given: Any) -> None:
    """Send a job of TASK. Each ARG is JSON if it reads as JSON, else text.

    With the app at hand (see -A) the arguments are checked as in Python and the job goes to the
    task's queue; without it, or with --by-name, say the queue with -q if it is not "default". Put
    -- before arguments that begin with a dash.
    """
    target: Target = given["target"]
    sending: Sending = given["sending"]
    task = _task(target, given["task"], given["version"], is_by_name=given["is_by_name"])
    job = _send(task, sending, given["args"], given["keywords"])
    _report(job, given["patience"], is_json=given["is_json"])


def _task(target: Target, name: str, version: int | None, *, is_by_name: bool) -> Task[..., Any]:
    from rqueue.cli.connecting import app_to_send
    from rqueue.errors import UnknownTask

    found = app_to_send(target, is_by_name=is_by_name)
    if not found.has_code:
        return found.app.remote(name, version=version)
    try:
        found.app.tasks.get(name)
    except UnknownTask as error:
        raise UnknownTask(
            f"{error} The app is {found.spec}. To send it without its code, add --by-name (and -q, "
            "if it has a queue)"
        ) from None
    return found.app.remote(name, version=version)


def _send(
    task: Task[..., Any], sending: Sending, args: Sequence[str], keywords: Sequence[str]
) -> Job[Any]:
    named: dict[str, Any] = {}
    for pair in keywords:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError("-k takes NAME=VALUE, and one of them is not of that form")
        named[name] = parse(value)
    return task.options(**sending.options()).enqueue_sync(*map(parse, args), **named)


def parse(text: str) -> Any:
    """What an argument means: JSON if it reads as such, else itself."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _report(job: Job[Any], patience: float | None, *, is_json: bool) -> None:
    from rqueue.cli.output import note, print_json
    from rqueue.cli.waiting import report_result

    card = {"id": job.id, "queue": job.queue, "status": job.status, "durability": job.durability}
    if job.status == "duplicate":
        note("This job was there already; nothing was added.")
    if job.status == "locked":
        note("Another job holds the unique key; nothing was added. This is that job's id.")
    if patience is not None:
        if not is_json:
            note(f"Job {job.id}")
        report_result(job, None if patience == float("inf") else patience, card, is_json=is_json)
    elif is_json:
        print_json(card)
    else:
        click.echo(job.id)
