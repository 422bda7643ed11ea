"""Tracing by OpenTelemetry, as it is plugged in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Tracer, format_span_id, format_trace_id

from rqueue.contrib.otel.processing import process
from rqueue.contrib.otel.sending import Sent, send_batch, send_one, send_tick
from rqueue.contrib.otel.settings import Settings
from rqueue.tracing import Incoming, Outgoing, Processing, Sending

if TYPE_CHECKING:
    from rqueue.tracing import Tracing


class OpenTelemetry:
    """Spans of one tracer.

    Args:
        tracer: makes them.
        settings: how jobs are traced.
    """

    def __init__(self, tracer: Tracer, settings: Settings) -> None:
        self._tracer = tracer
        self._settings = settings

    def send(self, jobs: Sequence[Outgoing], *, is_batch: bool) -> Sending:
        """A span for one job, or for a batch."""
        if not is_instrumentation_enabled():
            return _silent(jobs)
        if not is_batch:
            return send_one(self._tracer, jobs[0])
        with_each = len(jobs) <= self._settings.create_spans
        return send_batch(self._tracer, jobs, with_each=with_each)

    def tick(self, job: Outgoing) -> Sending:
        """A span for the job of a tick."""
        return send_tick(self._tracer, job)

    def process(self, job: Incoming) -> Processing:
        """A span for an attempt."""
        return process(self._tracer, job, as_part=self._settings.propagation == "parent")

    def carried(self) -> dict[str, str]:
        """The current context."""
        carried: dict[str, str] = {}
        propagate.inject(carried)
        return carried

    def enter(self, carried: Mapping[str, str]) -> None:
        """Make that the current context, and nothing else: a child process runs many jobs."""
        contexts.attach(propagate.extract(carried, Context()))


def current_ids() -> dict[str, str]:
    """The ids of the current span, as log lines tell them."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {"trace_id": format_trace_id(span.trace_id), "span_id": format_span_id(span.span_id)}


def current_trace() -> str:
    """The id of the current trace, if it is sampled: of another nobody would find anything."""
    span = trace.get_current_span().get_span_context()
    return format_trace_id(span.trace_id) if span.trace_flags.sampled else ""


def _silent(jobs: Sequence[Outgoing]) -> Sending:
    is_batch = len(jobs) != 1
    return Sent(trace.INVALID_SPAN, [job.headers for job in jobs], is_batch=is_batch)


if TYPE_CHECKING:
    _: type[Tracing] = OpenTelemetry
