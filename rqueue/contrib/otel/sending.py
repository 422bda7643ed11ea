"""Spans of what is sent, and the context that jobs carry from there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from rqueue.contrib.otel import conventions as names
from rqueue.contrib.otel.conventions import Attributes, operation
from rqueue.errors import RqueueError
from rqueue.tracing import LINK_ONLY, Outgoing

_MOST_LINKS = 128
"""More the SDK keeps of no span, unless it is told to."""
_LONGEST_NAME = 80
_TICK_DIGITS = 15


class Sent:
    """Jobs on their way.

    Attributes:
        headers: what each is to carry.
    """

    def __init__(self, span: Span, headers: Sequence[Mapping[str, str]], *, is_batch: bool) -> None:
        self._span = span
        self._is_batch = is_batch
        self.headers = headers

    def leave_out(self, places: Sequence[int]) -> None:
        """These go without their context."""
        self._span.set_attribute(names.LEFT_OUT, len(places))

    def end(self, statuses: Sequence[str], error: BaseException | None = None) -> None:
        """Tell how they were answered; an error without its traceback, which may quote a call."""
        span = self._span
        if self._is_batch:
            for status, count in Counter(statuses).items():
                span.set_attribute(f"{names.STATUS}.{status}", count)
        elif statuses:
            span.set_attribute(names.STATUS, statuses[0])
        if error is not None:
            kind = _kind_of(error)
            text = str(error) if isinstance(error, RqueueError) else ""
            span.add_event("exception", {"exception.type": kind, "exception.message": text})
            span.set_attribute(names.ERROR_TYPE, kind)
            span.set_status(Status(StatusCode.ERROR, text))
        span.end()


def send_one(tracer: Tracer, job: Outgoing) -> Sent:
    """The span of one job; it is where the job comes from, unless its sender named a trace."""
    told = _told(job)
    theirs = _named(job.headers)
    if theirs is not None:
        span = tracer.start_span(
            f"send {job.queue}", kind=SpanKind.CLIENT, attributes=told, links=[Link(theirs)]
        )
        return Sent(span, [job.headers], is_batch=False)
    span = tracer.start_span(f"send {job.queue}", kind=SpanKind.PRODUCER, attributes=told)
    return Sent(span, [_carrying(job.headers, span)], is_batch=False)


def send_tick(tracer: Tracer, job: Outgoing) -> Sent:
    """The span of a job that a schedule makes: a trace of its own, to which its work is linked."""
    span = tracer.start_span(
        f"send {job.queue}", Context(), SpanKind.PRODUCER, _told(job), _links(_named(job.headers))
    )
    if _named(job.headers) is not None:
        return Sent(span, [job.headers], is_batch=False)
    carried = _carrying(job.headers, span, Context()) | LINK_ONLY
    return Sent(span, [carried], is_batch=False)


def send_batch(tracer: Tracer, jobs: Sequence[Outgoing], *, with_each: bool) -> Sent:
    """The span of a batch, and before it one for each job, if that is wanted."""
    named = [_named(job.headers) for job in jobs]
    queues = {job.queue for job in jobs}
    queue = queues.pop() if len(queues) == 1 else ""
    told = operation("send", queue, jobs[0].url)
    told[names.BATCH_COUNT] = len(jobs)
    if with_each:
        created = [
            None if of else _created(tracer, job) for job, of in zip(jobs, named, strict=True)
        ]
        contexts = [
            one.get_span_context() if one else of for one, of in zip(created, named, strict=True)
        ]
        kind = SpanKind.CLIENT
    else:
        created, contexts, kind = [], named, SpanKind.PRODUCER
    links = [link for one in contexts[:_MOST_LINKS] for link in _links(one)]
    span = tracer.start_span(f"send {queue}".strip(), kind=kind, attributes=told, links=links)
    origins = created or [span] * len(jobs)
    headers = [
        job.headers if of or origin is None else _carrying(job.headers, origin) | LINK_ONLY
        for job, of, origin in zip(jobs, named, origins, strict=True)
    ]
    return Sent(span, headers, is_batch=True)


def _created(tracer: Tracer, job: Outgoing) -> Span:
    told = operation("create", job.queue, job.url) | _of_job(job)
    span = tracer.start_span(f"create {job.queue}", kind=SpanKind.PRODUCER, attributes=told)
    span.end()
    return span


def _told(job: Outgoing) -> Attributes:
    return operation("send", job.queue, job.url) | _of_job(job)


def _of_job(job: Outgoing) -> Attributes:
    told: Attributes = {
        names.MESSAGE_ID: job.job_id,
        names.TASK: job.task,
        names.PRIORITY: job.priority,
    }
    return told | of_schedule(job.headers)


def of_schedule(headers: Mapping[str, str]) -> Attributes:
    """Which schedule made a job, and for which tick; a stranger may have written anything."""
    schedule, tick = headers.get("rqueue-schedule"), headers.get("rqueue-tick", "")
    if schedule is None:
        return {}
    told: Attributes = {names.SCHEDULE: schedule[:_LONGEST_NAME]}
    if tick.isascii() and tick.isdecimal() and len(tick) <= _TICK_DIGITS:
        told[names.TICK_MS] = int(tick)
    return told


def _named(headers: Mapping[str, str]) -> SpanContext | None:
    """The trace that the sender named in the headers."""
    if not headers:
        return None
    found = trace.get_current_span(propagate.extract(headers, Context())).get_span_context()
    return found if found.is_valid else None


def _carrying(
    headers: Mapping[str, str], span: Span, context: Context | None = None
) -> dict[str, str]:
    """Headers with where the job comes from; what the sender gave stays."""
    carried: dict[str, str] = {}
    propagate.inject(carried, trace.set_span_in_context(span, context))
    return {**carried, **headers}


def _links(context: SpanContext | None) -> list[Link]:
    return [] if context is None else [Link(context)]


def _kind_of(error: BaseException) -> str:
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
