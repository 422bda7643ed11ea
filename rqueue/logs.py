"""Which job a log line belongs to: for ``logging``, and for whoever collects lines another way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from rqueue.context import CORRELATION, current_job
from rqueue.tracing import lines

FIELDS = ("job_id", "task", "queue", "attempt", "correlation_id")
"""What a line of a job carries."""
TRACE_FIELDS = ("trace_id", "span_id")
"""What a line within a span carries, if jobs are traced."""


def job_fields() -> dict[str, str | int]:
    """Of the job whose handler runs here, or nothing: for structlog, ``contextvars`` and the like.

    In async tasks, in threads and in child processes alike, and in what they call.
    """
    job = current_job()
    if job is None:
        return {}
    return {
        "job_id": job.job_id,
        "task": job.task,
        "queue": job.queue,
        "attempt": job.attempt,
        "correlation_id": job.headers.get(CORRELATION, job.job_id),
    }


def trace_fields() -> Mapping[str, str]:
    """Of the span that is current here, or nothing: where jobs are traced (``docs/tracing.md``)."""
    return {} if lines.ids is None else lines.ids()


_in_children: list[Callable[[], None]] = []


def set_up(here: Callable[[], None]) -> None:
    """Set logging up in this process, and likewise in the child processes of a worker.

    Args:
        here: does it; can be pickled.
    """
    here()
    _in_children[:] = [here]


def for_children() -> tuple[Callable[[], None], ...]:
    """What a child process has to call to log as this one does."""
    return tuple(_in_children)


class JobFilter(logging.Filter):
    """Gives every record the fields of its job and span: ``handler.addFilter(JobFilter())``.

    Outside of jobs they are empty, so that a format may name them; what a record has already stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add them; every record passes."""
        fields = {**job_fields(), **trace_fields()}
        for name in (*FIELDS, *TRACE_FIELDS):
            if not hasattr(record, name):
                setattr(record, name, fields.get(name, ""))
        return True
