"""``rqueue workers``: who is there, what they do, and telling them to stop."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

import click

from rqueue.cli.options import Target, with_json, with_target

_COLUMNS = ("worker", "state", "host", "pid", "queues", "slots", "python", "since")


@click.group()
def workers() -> None:
    """List the workers that are there, look into them and stop them, from anywhere."""


@workers.command("list")
@with_target
@with_json
def list_workers(target: Target, *, is_json: bool) -> None:
    """Who has introduced itself; one that died is there until its lease has run out."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json, print_table

    app = app_for_questions(target)
    found = app.workers_sync.list()
    app.close_sync()
    if is_json:
        print_json([{"worker": name, **card} for name, card in found.items()])
        return
    if not found:
        note(f"No workers in namespace {app.store.namespace!r}.")
        return
    print_table(_COLUMNS, [_row(name, card) for name, card in found.items()], whole=("worker",))


@workers.command()
@click.argument("name", metavar="WORKER")
@with_target
@with_json
def show(name: str, target: Target, *, is_json: bool) -> None:
    """How a worker fares, and what it runs: it is asked, and answers."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import print_json
    from rqueue.cli.workerview import print_worker

    app = app_for_questions(target)
    told = app.workers_sync.show(name)
    app.close_sync()
    if is_json:
        print_json({"worker": name, **told})
    else:
        print_worker(name, told)


@workers.command()
@click.argument("name", metavar="WORKER")
@with_target
def stacks(name: str, target: Target) -> None:
    """Where the code of a worker is: its threads, its asyncio tasks; also while one blocks it.

    On its own machine, kill -USR1 does the same without Redis.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import clean

    app = app_for_questions(target)
    told = app.workers_sync.stacks(name)
    app.close_sync()
    click.echo("\n".join(map(clean, told.splitlines())))


@workers.command()
@click.argument("names", nargs=-1, required=True, metavar="WORKER...")
@with_target
@with_json
def quiet(names: Sequence[str], target: Target, *, is_json: bool) -> None:
    """Tell workers to take no more jobs, and to stay: to look into one, or to stop it later.

    Those that run go on. Nothing makes a quiet worker take jobs again but a restart.
    """
    _tell(names, target, "quiet", is_json=is_json)


@workers.command()
@click.argument("names", nargs=-1, required=True, metavar="WORKER...")
@with_target
@with_json
def stop(names: Sequence[str], target: Target, *, is_json: bool) -> None:
    """Tell workers to stop, as SIGTERM does: they take no more jobs and let those that run end.

    A supervisor starts another one in place of a child, and so does whatever keeps a process
    running, as the unit for systemd does; to end that, stop it there.
    """
    _tell(names, target, "stop", is_json=is_json)


def _tell(names: Sequence[str], target: Target, order: str, *, is_json: bool) -> None:
    """Tell each of them, if all are there."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import Exit
    from rqueue.cli.output import note, print_json
    from rqueue.fleet import not_found

    app = app_for_questions(target)
    workers = app.workers_sync
    known = workers.list()
    for name in names:
        if name not in known:
            raise not_found(name, app.store.namespace, list(known))
    tell = workers.stop if order == "stop" else workers.quiet
    said = {name: tell(name) for name in names}
    app.close_sync()
    if is_json:
        print_json(said)
    else:
        for name, obeys in said.items():
            told = "takes no more jobs" + (", and stops" if order == "stop" else "")
            note(f"{name}: {told if obeys else 'has not obeyed; is it dead, or blocked?'}")
    if not all(said.values()):
        sys.exit(Exit.FAILED)


def _row(name: str, card: Mapping[str, Any]) -> tuple[object, ...]:
    queues, since = card.get("queues"), card.get("since")
    return (
        name,
        card.get("state", ""),
        card.get("host", ""),
        card.get("pid", ""),
        ",".join(map(str, cast("list[Any]", queues))) if isinstance(queues, list) else "",
        card.get("concurrency", ""),
        card.get("python", ""),
        _moment(since),
    )


def _moment(ms: object) -> str:
    """What a card says may be anything."""
    from rqueue.clock import from_ms

    try:
        return from_ms(ms).isoformat(timespec="seconds") if type(ms) is int else ""
    except (ValueError, OverflowError, OSError):
        return ""
