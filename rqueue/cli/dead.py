"""``rqueue dead``: jobs that are out of attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from rqueue.cli.options import Target, bundled, option, with_json, with_queue, with_target

if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.job import JobInfo

_MANY = 100
_PAGE = 100
_STAYS = ("locked", "corrupt")
_COLUMNS = ("id", "queue", "task", "attempts", "died", "reason", "last error")


@dataclass(frozen=True)
class Chosen:
    """Which dead jobs are meant."""

    ids: tuple[str, ...]
    is_all: bool
    is_sure: bool
    queue: str | None


@click.group()
def dead() -> None:
    """List, show, retry and discard dead jobs."""


@dead.command("list")
@option("--limit", type=click.IntRange(0), default=50, help="The latest so many; 0 = all.")
@with_queue
@with_target
@with_json
def list_dead(limit: int, queue: str | None, target: Target, *, is_json: bool) -> None:
    """Dead jobs, the latest first."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.jobview import job_record
    from rqueue.cli.output import note, print_json, print_table

    app = app_for_questions(target)
    counts = _counts(app, queue)
    shown = _latest(app, list(counts), limit)
    app.close_sync()
    if is_json:
        print_json([job_record(info, app) for info in shown])
    elif shown:
        print_table(_COLUMNS, [_row(info) for info in shown])
    else:
        note("No dead jobs.")
    left = sum(counts.values()) - len(shown)
    if left > 0:
        note(f"… {left} more (use --limit 0)")


@dead.command("show")
@click.argument("job_id", metavar="ID")
@with_queue
@with_target
@with_json
def show_dead(job_id: str, queue: str | None, target: Target, *, is_json: bool) -> None:
    """A dead job with its arguments and the error of every attempt."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import NotFound
    from rqueue.cli.job import find_job
    from rqueue.cli.jobview import show
    from rqueue.job import JobState

    app = app_for_questions(target)
    info = find_job(app, job_id, queue).info_sync()
    if info.state != JobState.DEAD:
        raise NotFound(f"job {job_id!r} is not dead: it is {info.state}")
    show(info, app, is_json=is_json)


with_chosen = bundled(
    "chosen",
    Chosen,
    click.argument("ids", nargs=-1, metavar="[ID]..."),
    option("--all", "is_all", is_flag=True, help="All of the queue, or of all queues."),
    option("--yes", "is_sure", is_flag=True, help=f"Also if they are more than {_MANY}."),
    with_queue,
)


@dead.command()
@with_chosen
@with_target
@with_json
def retry(chosen: Chosen, target: Target, *, is_json: bool) -> None:
    """Let dead jobs run again, with all their attempts."""
    from rqueue.cli.output import note

    def act(app: App, queue: str, ids: Sequence[str] | None) -> tuple[int, dict[str, str]]:
        told = app.inspector_sync.requeue(queue, ids)
        return told.count, told.refused

    done, refused = _change("retry", act, chosen, target)
    locked, corrupt = ([one for one, why in refused.items() if why == word] for word in _STAYS)
    _report("retried", done, refused, is_json=is_json, locked=locked, corrupt=corrupt)
    for one in locked:
        note(
            f"{one} stays dead: another job holds its unique key. Retry it when that one has ended"
        )
    for one in corrupt:
        note(f"{one} stays dead: its record or its stream is corrupt")
    _exit(refused)


@dead.command()
@with_chosen
@with_target
@with_json
def discard(chosen: Chosen, target: Target, *, is_json: bool) -> None:
    """Forget dead jobs for good."""

    def act(app: App, queue: str, ids: Sequence[str] | None) -> tuple[int, dict[str, str]]:
        done = app.inspector_sync.discard(queue, ids)
        return done, {} if done or ids is None else dict.fromkeys(ids, "missing")

    done, refused = _change("discard", act, chosen, target)
    _report("discarded", done, refused, is_json=is_json)
    _exit(refused)


_Act = Callable[["App", str, "Sequence[str] | None"], tuple[int, dict[str, str]]]
"""Does it to jobs of a queue, or to all: how many it was done to, and why not to others."""


def _change(verb: str, act: _Act, chosen: Chosen, target: Target) -> tuple[int, dict[str, str]]:
    """Do it to some or to all."""
    from rqueue.cli.connecting import app_for_questions

    if bool(chosen.ids) == chosen.is_all:
        raise click.UsageError("give the ids of dead jobs, or --all")
    app = app_for_questions(target)
    told: list[tuple[int, dict[str, str]]] = []
    if chosen.is_all:
        counts = _counts(app, chosen.queue)
        _check_sure(sum(counts.values()), verb, is_sure=chosen.is_sure)
        told = [act(app, queue, None) for queue, count in counts.items() if count]
    else:
        told = [_act_on(app, act, one, chosen.queue) for one in chosen.ids]
    app.close_sync()
    refused = {one: why for _, some in told for one, why in some.items()}
    if chosen.is_all:
        # Nobody named these; somebody else dealt with them meanwhile.
        refused = {one: why for one, why in refused.items() if why != "missing"}
    return sum(done for done, _ in told), refused


def _report(
    past: str, done: int, refused: dict[str, str], *, is_json: bool, **others: list[str]
) -> None:
    from rqueue.cli.output import note, print_json

    missing = [one for one, why in refused.items() if why == "missing"]
    if is_json:
        print_json({past: done, "missing": missing, **others})
    else:
        click.echo(f"{past} {done}")
    for one in missing:
        note(f"{one} is not among the dead jobs")


def _exit(refused: dict[str, str]) -> None:
    """Exit code 3 if one of them is not there, 6 if one is but stays."""
    from rqueue.cli.exits import Exit

    if "missing" in refused.values():
        raise SystemExit(Exit.NOT_FOUND)
    if refused:
        raise SystemExit(Exit.REFUSED)


def _check_sure(count: int, verb: str, *, is_sure: bool) -> None:
    from rqueue.cli.exits import Refused

    if count > _MANY and not is_sure:
        raise Refused(f"{count} jobs are dead: to {verb} more than {_MANY} at once, add --yes")


def _act_on(app: App, act: _Act, job_id: str, queue: str | None) -> tuple[int, dict[str, str]]:
    if queue is None:
        info = app.inspector_sync.find(job_id)
        if info is None:
            return 0, {job_id: "missing"}
        queue = info.queue
    done, refused = act(app, queue, [job_id])
    # Under the id as it was given, not as it is stored.
    return done, dict(zip([job_id], refused.values(), strict=False))


def _counts(app: App, queue: str | None) -> dict[str, int]:
    """How many are dead in each queue, or in this one."""
    from rqueue.cli.queues import check_known

    names = () if queue is None else (queue,)
    check_known(app, names)
    return {info.name: info.dead for info in app.inspector_sync.queues(*names)}


def _latest(app: App, queues: Sequence[str], limit: int) -> list[JobInfo]:
    """The latest dead jobs of several queues, all if there is no limit."""
    found: list[JobInfo] = []
    for queue in queues:
        found.extend(_pages(app, queue, limit))
    oldest = datetime.min.replace(tzinfo=UTC)
    found.sort(key=lambda info: info.finished_at or oldest, reverse=True)
    return found[:limit] if limit else found


def _pages(app: App, queue: str, limit: int) -> Iterator[JobInfo]:
    offset = 0
    while not limit or offset < limit:
        page = app.inspector_sync.dead(queue, offset, min(_PAGE, limit - offset or _PAGE))
        if not page:
            return
        yield from page
        offset += len(page)


def _row(info: JobInfo) -> tuple[object, ...]:
    from rqueue.cli.jobview import span
    from rqueue.cli.output import one_line

    last = info.errors[-1] if info.errors else None
    error = one_line(f"{last.type}: {last.message}", 60) if last else ""
    when = span(info.finished_at) if info.finished_at else ""
    return (info.id, info.queue, info.task, info.attempts, when, info.reason, error)
