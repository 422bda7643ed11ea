"""``rqueue queues``: what they hold, and whether workers take from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import click

from rqueue.cli.options import Target, duration, option, with_json, with_target

if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.store.calls.queues import QueueInfo

_COLUMNS = ("queue", "ready", "running", "scheduled", "dead", "workers", "state", "target", "caps")


def cap(value: str) -> int:
    """How many jobs or bytes at the most; 0, also written ``none``, is no cap."""
    if value == "none":
        return 0
    if not (value.isascii() and value.isdecimal()):
        raise click.BadParameter(f"{value!r} is no whole number; the word none lifts the cap")
    return int(value)


def wait_or_none(value: str) -> float:
    """A time to wait, in seconds; 0, also written ``none``, is no target."""
    return 0.0 if value == "none" else duration(value)


@click.group()
def queues() -> None:
    """List, cap, pause and resume queues, and say how fast they should be."""


@queues.command("list")
@click.argument("names", nargs=-1, metavar="[QUEUE]...")
@with_target
@with_json
def list_queues(names: Sequence[str], target: Target, *, is_json: bool) -> None:
    """What every queue holds, or these."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json, print_table

    app = app_for_questions(target)
    check_known(app, names)
    found = app.inspector_sync.queues(*names)
    app.close_sync()
    if is_json:
        print_json(found)
        return
    if not found:
        note(f"No queues yet in namespace {app.store.namespace!r}.")
        return
    print_table(
        _COLUMNS,
        [
            (one.name, sum(one.ready.values()), one.running, one.scheduled, one.dead, one.workers,
             "paused" if one.is_paused else "open", _target(one),
             _caps(one))
            for one in found
        ],
    )  # fmt: skip


@queues.command()
@click.argument("queue", metavar="QUEUE")
@option("--waiting", type=cap, metavar="N", help="Jobs that are ready or run; none = any number.")
@option("--scheduled", type=cap, metavar="N", help="Jobs that wait for their time.")
@option(
    "--payload", type=cap, metavar="BYTES", help="Of a job's envelope, whatever its app allows."
)
@with_target
@with_json
def limit(queue: str, target: Target, *, is_json: bool, **given: int | None) -> None:
    """Refuse new jobs when a queue holds so many, or that are so large; what is left out stays.

    Producers get QueueFull, or PayloadTooLarge. What rqueue itself moves (retries, jobs that become
    due, jobs of dead workers) is never refused. --waiting none takes a cap away.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json

    caps = {name: value or None for name, value in given.items() if value is not None}
    if not caps:
        raise click.UsageError("say --waiting, --scheduled or --payload")
    app = app_for_questions(target)
    is_new = queue not in [one.name for one in app.inspector_sync.queues()]
    found = app.inspector_sync.limit(queue, **caps)
    app.close_sync()
    if is_new:
        note(f"{queue}: no job was ever sent there; is that its name?")
    if is_json:
        print_json(found)
        return
    note(f"{queue}: {_caps(found) or 'no cap'}")


@queues.command()
@click.argument("queue", metavar="QUEUE")
@click.argument("wait", metavar="WAIT", type=wait_or_none)
@with_target
@with_json
def target(queue: str, wait: float, target: Target, *, is_json: bool) -> None:
    """Say how long a job should wait until it begins: 5s, 2m, or none.

    Nothing is refused for it: metrics, alerts and scaling measure by it. Workers hear of it within
    a minute.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json

    app = app_for_questions(target)
    check_known(app, [queue])
    found = app.inspector_sync.aim(queue, wait or None)
    app.close_sync()
    if is_json:
        print_json(found)
        return
    note(f"{queue}: {_target(found) or 'no target'}")


@queues.command()
@click.argument("names", nargs=-1, required=True, metavar="QUEUE...")
@with_target
@with_json
def pause(names: Sequence[str], target: Target, *, is_json: bool) -> None:
    """Let workers take nothing more; what runs goes on, what is sent is kept."""
    _turn("pause", names, target, is_json=is_json)


@queues.command()
@click.argument("names", nargs=-1, required=True, metavar="QUEUE...")
@with_target
@with_json
def resume(names: Sequence[str], target: Target, *, is_json: bool) -> None:
    """Let workers take jobs again."""
    _turn("resume", names, target, is_json=is_json)


def check_known(app: App, names: Sequence[str]) -> None:
    """Refuse a queue that was never written: most likely its name is mistyped.

    Raises:
        NotFound: there is no such queue.
    """
    if not names:
        return
    from rqueue.cli.exits import NotFound

    known = [one.name for one in app.inspector_sync.queues()]
    for name in names:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none yet"
            raise NotFound(f"no queue {name!r} in namespace {app.store.namespace!r}; {there}")


def _caps(queue: QueueInfo) -> str:
    told = (
        ("waiting", queue.cap_waiting),
        ("scheduled", queue.cap_scheduled),
        ("payload", queue.cap_payload),
    )
    return ", ".join(f"{name} {cap}" for name, cap in told if cap is not None)


def _target(queue: QueueInfo) -> str:
    return "" if queue.target_s is None else f"{queue.target_s:g}s"


def _turn(
    verb: Literal["pause", "resume"], names: Sequence[str], target: Target, *, is_json: bool
) -> None:
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json

    app = app_for_questions(target)
    check_known(app, names)
    turn = app.inspector_sync.pause if verb == "pause" else app.inspector_sync.resume
    said = {name: turn(name) for name in names}
    app.close_sync()
    if is_json:
        print_json(said)
        return
    for name, answer in said.items():
        done = f"{verb}d" if answer != "already" else f"was {verb}d already"
        note(f"{name}: {done}")
