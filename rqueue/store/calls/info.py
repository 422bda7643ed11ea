"""Everything known of a job: its record, and where it is."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

import msgspec

from rqueue.clock import from_ms
from rqueue.codec import PROTECTED, open_error
from rqueue.errors import ProtectionError
from rqueue.ids import lengthen
from rqueue.job import AttemptError, JobInfo, JobState
from rqueue.protection import PLAIN, Kept, Protection
from rqueue.store.call import Call, Flow
from rqueue.store.keys import GROUP, USUAL_LANE, Field, QueueKeys
from rqueue.store.pieces import call_of
from rqueue.store.replies import mapping, texts, whole

_ENTRY = re.compile(r"\d+-\d+\Z", re.ASCII)
_LAST_MS = 253_402_300_799_999
"""The end of the last year that a datetime knows; strangers may have written any number."""
_UNSAID = {JobState.SUCCEEDED: b"1"}
"""Attempts of a record that does not name their number."""


def job_info(keys: QueueKeys, job_id: str, protection: Protection = PLAIN) -> Flow[JobInfo | None]:
    """Everything known of a job; ``running`` is read from the consumer group.

    What is protected is opened; what cannot be is left out, and named in ``protected``.
    """
    fields: dict[str, bytes] = yield Call(("HGETALL",), (keys.job(job_id),), (), mapping)
    told = {name: value.decode("utf-8", "replace") for name, value in fields.items()}
    state = told.get(Field.STATE)
    if state not in set(JobState):
        return None
    worker, due = told.get(Field.WORKER, ""), 0
    envelope, priority = call_of(fields), told.get(Field.PRIORITY, "")
    entry = told.get(Field.ENTRY, "")
    if state == JobState.QUEUED and _ENTRY.match(entry):
        lane = told.get(Field.LANE) or USUAL_LANE
        stream = keys.stream(lane)
        pending, entries = yield (
            Call(("XPENDING",), (stream,), (GROUP, entry, entry, 1), list).or_absent([]),
            Call(("XRANGE",), (stream,), (entry, entry), list),
        )
        if pending:
            state, worker = JobState.RUNNING, texts(pending[0])[1]
        if entries:
            entry_fields = mapping(entries[0][1])
            envelope = entry_fields.get("m")
            priority = texts([entry_fields.get("p", b"")])[0] or lane
    elif state in (JobState.SCHEDULED, JobState.RETRYING):
        due = yield Call(("ZSCORE",), (keys.schedule,), (job_id,), _score)
    now = Now(JobState(state), worker, due, envelope, priority)
    return _job_info(keys, job_id, fields, now, protection)


def _score(reply: Any) -> int:
    score = float(reply or 0)
    return int(score) if math.isfinite(score) else 0


class Now(msgspec.Struct, frozen=True):
    """Where a job is, beside what its record says."""

    state: JobState
    worker: str
    due_ms: int
    envelope: bytes | None
    priority: str


def _job_info(
    keys: QueueKeys, job_id: str, fields: dict[str, bytes], now: Now, protection: Protection
) -> JobInfo:
    refused: list[str] = []

    def opened(name: str, data: bytes | None, what: Kept) -> bytes | None:
        try:
            return data and protection.open(data, what, keys.queue, job_id)
        except ProtectionError:
            refused.append(name)
            return None

    envelope = opened("envelope", now.envelope, "call")
    result = opened("result", fields.get(Field.RESULT), "result")
    told = {name: value.decode("utf-8", "replace") for name, value in fields.items()}
    return JobInfo(
        id=lengthen(job_id),
        queue=keys.queue,
        state=now.state,
        task=told.get(Field.TASK, ""),
        priority=now.priority,
        attempts=whole(fields.get(Field.ATTEMPTS, _UNSAID.get(now.state, b""))),
        crashes=whole(fields.get(Field.CRASHES, b"")),
        created_at=_time(_created_ms(fields)),
        due_at=_time(now.due_ms),
        started_at=_time(_ms(fields, Field.BEGUN)),
        finished_at=_time(_ms(fields, Field.FINISHED)),
        worker=now.worker,
        reason=told.get(Field.REASON, ""),
        unique=told.get(Field.UNIQUE, ""),
        cancel_requested=Field.CANCEL in told,
        result=result,
        envelope=envelope,
        errors=_errors(keys, job_id, fields, protection),
        protected=tuple(refused),
    )


def _errors(
    keys: QueueKeys, job_id: str, fields: dict[str, bytes], protection: Protection
) -> tuple[AttemptError, ...]:
    found: list[tuple[int, AttemptError]] = []
    for name, value in fields.items():
        if name.startswith(Field.ERROR):
            life, number = _place(name)
            is_crash = number.startswith("c")
            error = open_error(value, protection, keys.queue, job_id, is_crash=is_crash)
            if error.type == PROTECTED and number.isdecimal():
                error = msgspec.structs.replace(error, attempt=int(number))
            found.append((life, error))
    found.sort(key=lambda one: (one[0], one[1].at, one[1].attempt))
    return tuple(error for _, error in found)


def _place(name: str) -> tuple[int, str]:
    """Life and number of an error: earlier lives carry their token, the present one none."""
    token, dot, number = name[1:].partition(".")
    return (whole(token.encode()), number) if dot else (sys.maxsize, name[1:])


def _ms(fields: dict[str, bytes], field: str) -> int:
    return whole(fields.get(field, b""))


def _created_ms(fields: dict[str, bytes]) -> int:
    """As written, or as the id of the first entry tells, which is the one that is named."""
    entry = fields.get(Field.ENTRY, b"")
    return _ms(fields, Field.CREATED) or whole(entry.partition(b"-")[0])


def _time(ms: int) -> Any:
    return from_ms(ms) if 0 < ms <= _LAST_MS else None
