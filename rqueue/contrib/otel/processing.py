"""Spans of attempts."""

from __future__ import annotations

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

from rqueue.contrib.otel import conventions as names
from rqueue.contrib.otel.conventions import Attributes, operation
from rqueue.contrib.otel.sending import of_schedule
from rqueue.job import AttemptError
from rqueue.tracing import LINK, Ended, Incoming

_LONG_AGO_S = 3600
"""A job that was sent longer ago is no part of the trace that sent it: that has ended, and a trace
that goes on for days can hardly be looked at."""


class Attempted:
    """The span of an attempt."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, ended: Ended) -> None:
        """Tell how it ended."""
        span, error = self._span, ended.error
        span.set_attribute(names.OUTCOME, ended.outcome)
        if ended.reason:
            span.set_attribute(names.REASON, ended.reason)
        if error is not None:
            span.add_event("exception", _event(error))
            span.set_attribute(names.ERROR_TYPE, error.type)
            span.set_status(Status(StatusCode.ERROR, error.message))
        span.end()


def process(tracer: Tracer, job: Incoming, *, as_part: bool) -> Attempted:
    """Begin the span of an attempt, and make it the current one.

    Args:
        tracer: makes it.
        job: what is about to run.
        as_part: whether it may be part of the trace that sent its job.
    """
    sent = propagate.extract(job.headers, Context())
    origin = trace.get_current_span(sent).get_span_context()
    links = [Link(origin)] if origin.is_valid else []
    is_part = as_part and LINK not in job.headers and job.age_s <= _LONG_AGO_S
    parent = sent if is_part else trace.set_span_in_context(trace.INVALID_SPAN, sent)
    name = f"process {job.queue}"
    span = tracer.start_span(name, parent, SpanKind.CONSUMER, _told(job), links)
    # Not detached: it belongs to the asyncio task of this attempt alone, also when its end is told.
    contexts.attach(trace.set_span_in_context(span, sent))
    return Attempted(span)


def _told(job: Incoming) -> Attributes:
    told = operation("process", job.queue, job.url)
    told[names.MESSAGE_ID] = job.job_id
    told[names.CLIENT_ID] = job.worker
    told[names.TASK] = job.task
    told[names.ATTEMPT] = job.attempt
    told[names.PRIORITY] = job.priority
    told[names.WAIT_MS] = job.wait_ms
    return told | of_schedule(job.headers)


def _event(error: AttemptError) -> dict[str, str]:
    told = {"exception.type": error.type, "exception.message": error.message}
    return told | ({"exception.stacktrace": error.traceback} if error.traceback else {})
