"""Printing how a job ended."""

from __future__ import annotations

import sys
from typing import Any

import click

from rqueue.cli.exits import Exit
from rqueue.cli.output import as_json, clean, print_json
from rqueue.errors import JobCancelled, JobExpired, JobFailed, ResultGone
from rqueue.handle import Job


def report_result(
    job: Job[Any], timeout: float | None, card: dict[str, Any], *, is_json: bool
) -> None:
    """Wait for a job and print its result; a job without one ends the command with code 1.

    Raises:
        JobNotFound: there is no such job.
        ResultTimeout: it has not ended in time.
    """
    try:
        result = job.result_sync(timeout)
    except (JobFailed, JobCancelled, JobExpired, ResultGone) as error:
        if not is_json:
            raise
        print_json({**card, **_ending(error)})
        sys.exit(Exit.FAILED)
    if is_json:
        print_json({**card, "state": "succeeded", "result": result})
    else:
        # Text is printed as it is, for shells; anything else as JSON.
        click.echo(clean(result) if isinstance(result, str) else as_json(result))


def _ending(error: JobFailed | JobCancelled | JobExpired | ResultGone) -> dict[str, Any]:
    if isinstance(error, JobFailed):
        kind = {"type": error.error_type, "message": error.message, "traceback": error.traceback}
        return {"state": "dead", "reason": error.reason, "error": kind}
    if isinstance(error, JobCancelled):
        return {"state": "cancelled", "reason": error.reason}
    return {"state": "expired" if isinstance(error, JobExpired) else "succeeded", "result": None}
