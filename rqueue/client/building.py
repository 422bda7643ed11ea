"""A checked call as a job ready to be sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from rqueue.clock import now_ms
from rqueue.config import MAX_CRASHES, MAX_PAYLOAD
from rqueue.context import CORRELATION, current_job
from rqueue.envelope import Envelope, digest, seal
from rqueue.errors import CodecError, InvalidArguments, PayloadTooLarge
from rqueue.ids import shorten
from rqueue.options import Seconds, due_of, period, seconds
from rqueue.outcome import check_seconds
from rqueue.protection import PLAIN, Protection
from rqueue.store.calls.jobs import NewJob
from rqueue.task import TaskCall


class Built(msgspec.Struct, frozen=True, gc=False):
    """A job, its queue, and its id as the caller knows it."""

    queue: str
    job_id: str
    job: NewJob


def build(
    call: TaskCall[Any],
    max_payload: int = MAX_PAYLOAD,
    protection: Protection = PLAIN,
    later_ms: int = 0,
) -> Built:
    """Make the envelope of a call and everything the enqueue script wants beside it.

    It is due ``later_ms`` after the time that the call says.

    Raises:
        PayloadTooLarge: the envelope is above the limit.
        InvalidArguments: something in it cannot be encoded.
    """
    options, declared = call.options, call.defaults
    queue = options.get("queue", declared.queue)
    priority = options.get("priority", declared.priority)
    short = call.ids[1] if call.job_id == call.ids[0] else shorten(call.job_id)
    envelope = envelope_of(call)
    try:
        sealed, key = seal(envelope), b""
        if protection is not PLAIN:
            sealed = protection.protect(sealed, "call", queue, short)
            key = protection.content_key(queue, short)
        content = digest(queue, priority, envelope, call.args, call.kwargs, key)
    except (TypeError, ValueError, OverflowError, CodecError) as error:
        raise InvalidArguments(f"{call.task}: cannot be encoded: {error}") from error
    if len(sealed) > max_payload:
        raise PayloadTooLarge(call.task, len(sealed), max_payload)
    crashes = declared.max_crashes
    job = NewJob(
        id=short,
        envelope=sealed,
        digest=content,
        priority=priority,
        due=_due(call, later_ms) if call.options or later_ms else "",
        unique=envelope.unique,
        max_crashes=0 if crashes == MAX_CRASHES else crashes,
    )
    return Built(queue, call.job_id, job)


def envelope_of(call: TaskCall[Any]) -> Envelope:
    """What travels of a call."""
    args, kwargs = call.encoded
    options, declared = call.options, call.defaults
    expires = options.get("expires", declared.expires)
    deadline = options.get("deadline", declared.deadline)
    envelope = Envelope(
        task=call.task,
        args=msgspec.Raw(args),
        created=now_ms() if "job_id" in options else 0,  # an id of ours tells the time
        expires=0 if expires is None else _moment(expires),
        deadline=0 if deadline is None else _moment(deadline),
        version=declared.version,
    )
    if call.kwargs:
        envelope.kwargs = msgspec.Raw(kwargs)
    if call.hidden:
        envelope.hidden = list(call.hidden)
    if options:
        retry = options.get("retry")
        envelope.timeout = seconds(options.get("timeout", 0))
        envelope.retry = None if retry is None else retry.numbers()
        envelope.result_ttl = seconds(options.get("result_ttl", -1))
        envelope.unique = options.get("unique", "")
        envelope.headers = dict(options.get("headers", {}))
    job = current_job()
    if job is not None:
        # Shared by a job and all that it leads to, so that their lines are found together.
        correlation = job.headers.get(CORRELATION, job.job_id)
        envelope.headers = {CORRELATION: correlation, **envelope.headers}
    return envelope


def _due(call: TaskCall[Any], later_ms: int) -> str:
    delay, run_at = call.options.get("delay"), call.options.get("run_at")
    due = due_of(delay or None, run_at) if delay or run_at else ""
    if not later_ms:
        return due
    is_moment = due != "" and not due.startswith("+")
    return str(int(due) + later_ms) if is_moment else f"+{int(due or 0) + later_ms}"


def shares(count: int, span: Seconds) -> list[int]:
    """By how many ms each of so many jobs is later, to be due evenly from now to the end of a span.

    Raises:
        ConfigError: the span is no duration.
    """
    span_ms = check_seconds(period(span), "spread") * 1000
    if not span_ms:
        return [0] * count
    return [round(span_ms * n / max(1, count - 1)) for n in range(count)]


def _moment(limit: Seconds | datetime) -> int:
    if isinstance(limit, datetime):
        # Before 1970 is as past as 1970; 0 would mean never.
        return max(1, round(limit.timestamp() * 1000))
    return now_ms() + round(seconds(limit) * 1000)
