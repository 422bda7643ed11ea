"""How commands end: the exit codes, and the errors that lead to them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import click

from rqueue import errors
from rqueue.cli.output import clean


class Exit(IntEnum):
    """Exit codes, the same for every command; ``rqueue --help`` lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    TIMED_OUT = 5
    REFUSED = 6
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """An error of the command itself."""

    def __init__(self, message: str) -> None:
        super().__init__(clean(message))

    def show(self, file: Any = None) -> None:
        """Print it to stderr."""
        _print(self.message, file)


class NotFound(CommandError):
    """There is no such job, queue or schedule."""

    exit_code = Exit.NOT_FOUND


class Refused(CommandError):
    """It was not done: it might not be meant, or something stands against it."""

    exit_code = Exit.REFUSED


_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (errors.JobNotFound, Exit.NOT_FOUND),
    (errors.ScheduleNotFound, Exit.NOT_FOUND),
    (errors.UnknownTask, Exit.NOT_FOUND),
    (errors.WorkerNotFound, Exit.NOT_FOUND),
    (errors.WorkerSilent, Exit.TIMED_OUT),
    (errors.ResultTimeout, Exit.TIMED_OUT),
    (errors.StoreFull, Exit.FAILED),
    (errors.CorruptKey, Exit.FAILED),
    (errors.StoreError, Exit.UNREACHABLE),
    (errors.ConfigError, Exit.USAGE),
    (errors.InvalidArguments, Exit.USAGE),
)


def code_of(error: errors.RqueueError) -> Exit:
    """The exit code that an error of rqueue leads to."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)


def show_error(error: errors.RqueueError) -> None:
    """Print an error of rqueue as one paragraph, without a traceback."""
    hint = ""
    if isinstance(error, errors.StoreUnavailable):
        hint = ". Which Redis is meant is said by -u/--url, RQUEUE_URL, REDIS_URL or the app"
        if error.job_ids:
            hint += f". Sent again with --id {error.job_ids[0]} it makes no second job"
    _print(f"{error}{hint}")


def _print(message: str, file: Any = None) -> None:
    label = click.style("Error:", fg="red", bold=True)
    click.echo(f"{label} {clean(message)}", file=file, err=True)
