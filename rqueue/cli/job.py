"""``rqueue job``: one job from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rqueue.cli.options import (
    Target,
    duration,
    moment,
    option,
    with_json,
    with_queue,
    with_target,
)

if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.handle import Job

with_patience = option(
    "--timeout", type=duration, metavar="DURATION", help="Give up after this long (exit code 5)."
)


@click.group()
def job() -> None:
    """Look at one job, wait for it, cancel or reschedule it."""


@job.command("show")
@click.argument("job_id", metavar="ID")
@with_queue
@with_target
@with_json
def show_job(job_id: str, queue: str | None, target: Target, *, is_json: bool) -> None:
    """Everything that is known of a job."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.jobview import show

    app = app_for_questions(target)
    show(find_job(app, job_id, queue).info_sync(), app, is_json=is_json)


@job.command()
@click.argument("job_id", metavar="ID")
@with_patience
@with_queue
@with_target
@with_json
def result(
    job_id: str, timeout: float | None, queue: str | None, target: Target, *, is_json: bool
) -> None:
    """Print what a job returned: now, or within --timeout. Exit code 1 if it failed."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.waiting import report_result

    found = find_job(app_for_questions(target), job_id, queue)
    card = {"id": found.id, "queue": found.queue}
    report_result(found, timeout or 0.0, card, is_json=is_json)


@job.command()
@click.argument("job_id", metavar="ID")
@with_patience
@with_queue
@with_target
@with_json
def wait(
    job_id: str, timeout: float | None, queue: str | None, target: Target, *, is_json: bool
) -> None:
    """Wait until a job has ended, and print how. Exit code 0 if it succeeded, else 1."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import Exit
    from rqueue.job import JobState

    found = find_job(app_for_questions(target), job_id, queue)
    state = found.wait_sync(timeout)
    _tell(found, state, is_json=is_json)
    if state != JobState.SUCCEEDED:
        raise SystemExit(Exit.FAILED)


@job.command()
@click.argument("job_id", metavar="ID")
@option("--reason", default="", help="Kept with the job.")
@with_queue
@with_target
@with_json
def cancel(job_id: str, reason: str, queue: str | None, target: Target, *, is_json: bool) -> None:
    """End a job that waits; ask the worker of one that runs to stop it.

    Prints "cancelled", "requested", or the state of a job that had ended already (exit code 1).
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import Exit

    found = find_job(app_for_questions(target), job_id, queue)
    said = found.cancel_sync(reason)
    _tell(found, said, is_json=is_json)
    if said not in ("cancelled", "requested"):
        raise SystemExit(Exit.FAILED)


@job.command()
@click.argument("job_id", metavar="ID")
@option("--in", "delay", type=duration, metavar="DURATION", help="Run it that long from now.")
@option("--at", "run_at", type=moment, metavar="TIME", help="Run it then: ISO 8601, offset.")
@option("--now", "is_now", is_flag=True, help="Run it now.")
@with_queue
@with_target
@with_json
def reschedule(job_id: str, queue: str | None, target: Target, **given: Any) -> None:
    """Give a job that waits another time: --in, --at or --now.

    Prints "rescheduled"; "queued", if it was due by then; or where it is too late (exit code 1):
    "running", or the state of a job that had ended.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.exits import Exit

    delay = 0.0 if given["is_now"] else given["delay"]
    run_at = given["run_at"]
    if (given["is_now"], given["delay"] is not None, run_at is not None).count(True) != 1:
        raise click.UsageError("say when: give one of --in, --at and --now")
    found = find_job(app_for_questions(target), job_id, queue)
    said = found.reschedule_sync(delay=delay, run_at=run_at)
    _tell(found, said, is_json=given["is_json"])
    if said not in ("rescheduled", "queued"):
        raise SystemExit(Exit.FAILED)


def find_job(app: App, job_id: str, queue: str | None) -> Job[Any]:
    """The job of this id: in the queue that was named, or in any.

    Raises:
        NotFound: no queue has it.
    """
    from rqueue.cli.exits import NotFound

    if queue is not None:
        return app.job(job_id, queue)
    info = app.inspector_sync.find(job_id)
    if info is None:
        raise NotFound(
            f"no job {job_id!r} in any queue of namespace {app.store.namespace!r}. It was never "
            "enqueued there, or its record expired"
        )
    return app.job(job_id, info.queue)


def _tell(found: Job[Any], word: str, *, is_json: bool) -> None:
    from rqueue.cli.output import print_json

    if is_json:
        print_json({"id": found.id, "queue": found.queue, "state": word})
    else:
        click.echo(word)
