"""What is told of an attempt's end: a line in the log, and an event."""

from __future__ import annotations

import logging

from rqueue.codec import decode_error
from rqueue.context import CORRELATION
from rqueue.events import JobFinished, Observers
from rqueue.ids import lengthen
from rqueue.outcome import Bury, Complete, Outcome, TryAgain
from rqueue.worker.attempt import Attempt
from rqueue.worker.settling import Ran
from rqueue.worker.unsettled import Ending

logger = logging.getLogger("rqueue.jobs")
"""A line for each ending of an attempt, and nothing else."""


def is_heard(ending: Ending, observers: Observers) -> bool:
    """Whether anybody hears of it, if it is recorded; of most nobody does."""
    is_quiet = isinstance(ending.outcome, Complete) and not observers.all
    return not is_quiet or logger.isEnabledFor(logging.INFO)


def tell(ending: Ending, status: str, observers: Observers) -> None:
    """Tell of an ending; ``status`` is what Redis said of it."""
    attempt, ran, outcome, seconds = ending.attempt, ending.ran, ending.outcome, ending.seconds
    if outcome is not None:
        _log(attempt, ran, outcome, seconds)
    if observers.all:
        delivery = attempt.delivery
        observers.emit(
            JobFinished(
                queue=delivery.queue,
                job_id=lengthen(delivery.job_id),
                task=ran.envelope.task if ran.envelope is not None else "",
                attempt=delivery.attempts + 1,
                ending=outcome.verb if outcome is not None else "",
                status=status,
                seconds=seconds,
                error=_error_type(outcome),
                worker=delivery.worker,
            )
        )


_LINE = "%s task=%.100s job=%s attempt=%d took=%.3fs"
_LINE_WITH_ERROR = _LINE + "%s: %s\n%s"


def _log(attempt: Attempt, ran: Ran, outcome: Outcome, seconds: float) -> None:
    """A line for what ended; a failure with its traceback."""
    is_failure = isinstance(outcome, Bury | TryAgain)
    if not (is_failure or logger.isEnabledFor(logging.INFO)):
        return
    task = ran.envelope.task if ran.envelope is not None else "?"
    headers = ran.envelope.headers if ran.envelope is not None else {}
    job_id, number = lengthen(attempt.delivery.job_id), attempt.delivery.attempts + 1
    told = (outcome.verb, task, job_id, number, seconds)
    fields = {
        "job_id": job_id,
        "task": task,
        "queue": attempt.delivery.queue,
        "attempt": number,
        "correlation_id": headers.get(CORRELATION, job_id),
        "ending": outcome.verb,
        "took_s": round(seconds, 6),
    }
    if is_failure:
        error = decode_error(outcome.error)
        level = logging.ERROR if isinstance(outcome, Bury) else logging.WARNING
        trace = error.traceback or f"{error.type}: {error.message}"
        again = f" again_in={outcome.delay_ms / 1000:.1f}s" if isinstance(outcome, TryAgain) else ""
        fields["error"] = error.type
        logger.log(level, _LINE_WITH_ERROR, *told, again, error.type, trace, extra=fields)
    else:
        logger.info(_LINE, *told, extra=fields)


def _error_type(outcome: Outcome | None) -> str:
    if isinstance(outcome, Bury | TryAgain):
        return decode_error(outcome.error).type
    return ""
