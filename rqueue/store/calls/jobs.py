"""A job from outside: enqueue, wait, look, cancel, record."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from rqueue.clock import from_ms
from rqueue.codec import PROTECTED, open_error
from rqueue.errors import CorruptKey, ProtectionError
from rqueue.ids import lengthen
from rqueue.job import AttemptError, JobInfo, JobState
from rqueue.protection import PLAIN, Kept, Protection
from rqueue.store.call import Arg, Call, Flow
from rqueue.store.keys import GROUP, USUAL_LANE, Field, QueueKeys
from rqueue.store.replies import mapping, texts, whole, word
from rqueue.store.scripts import AWAIT, CANCEL, ENQUEUE, RECORD
from rqueue.veiled import Veiled

ENDED_KEEP_MS = 3_600_000
"""How long a cancelled or expired job is remembered: as long as a result by default."""

_ENTRY = re.compile(r"\d+-\d+\Z", re.ASCII)
_LAST_MS = 253_402_300_799_999
"""The end of the last year that a datetime knows; strangers may have written any number."""


class NewJob(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """A job ready to be sent.

    Attributes:
        id: short form.
        envelope: the encoded call.
        digest: what tells its content from another's, 8 bytes.
        priority: which stream.
        due: "" = now, ``+<ms>`` = that long from now, ``<ms>`` = at that time.
        unique: the unique key it asks for, or "".
        max_crashes: workers it may kill; 0 = the default.
    """

    veiled = ("envelope",)

    id: str
    envelope: bytes
    digest: bytes
    priority: str = "normal"
    due: str = ""
    unique: str = ""
    max_crashes: int = 0


class Enqueued(msgspec.Struct, frozen=True):
    """What Redis said of a new job.

    Attributes:
        status: the word of the script.
        holder: if it is locked, the short id of the job that holds its unique key.
        place: if it is capped, what is full: ``waiting`` or ``scheduled``; if it is exhausted, the
            key of the stream that takes no more.
        cap: how many may be there.
        copies: disks or replicas that had it in time, where that was asked.
    """

    status: str
    holder: str = ""
    place: str = ""
    cap: int = 0
    copies: int = 0


class Ending(msgspec.Struct, frozen=True):
    """How far a job is, and how it ended if it did."""

    state: str
    result: bytes | None = None
    reason: str = ""
    error: bytes = b""


def enqueue(
    keys: QueueKeys, jobs: Sequence[NewJob], now: str = "", *, waits: bool = False
) -> Call[list[Enqueued]]:
    """Several jobs of one queue in one trip; repeatable, because every job has its id.

    With ``waits``, what follows on the connection is to wait for them, be they new or not.
    """
    names = [*keys.of_enqueue]
    args: list[Arg] = [now, keys.wake]
    for job in jobs:
        record = keys.job(job.id)
        names += (record, keys.unique_or(job.unique, record))
        args += (job.id, job.envelope, job.digest, job.priority, job.due, job.unique)
        args.append(job.max_crashes or "")
    if waits:
        args.append(1)
    return Call(ENQUEUE, names, args, _enqueued).on_repeat(_enqueued_again)


def enqueue_confirmed(
    keys: QueueKeys, jobs: Sequence[NewJob], confirm: Call[int] | None
) -> Flow[list[Enqueued]]:
    """``enqueue``, and behind it on the same connection the question how durable it is."""
    if confirm is None:
        return (yield enqueue(keys, jobs))
    said, copies = yield (enqueue(keys, jobs, waits=True), confirm)
    return [msgspec.structs.replace(one, copies=copies) for one in said]


_ACCEPTED = Enqueued("accepted")


def _enqueued(reply: Any) -> list[Enqueued]:
    return [_ACCEPTED if one[0] == b"accepted" else _said(*texts(one)) for one in reply]


def _said(status: str, detail: str = "", cap: str = "") -> Enqueued:
    if status in ("capped", "exhausted"):
        return Enqueued(status, place=detail, cap=int(cap or 0))
    return Enqueued(status, detail)


def _enqueued_again(reply: Any) -> list[Enqueued]:
    """After a lost answer, ``duplicate`` means that our own first try was accepted."""
    return [_ACCEPTED if one.status == "duplicate" else one for one in _enqueued(reply)]


def awaiting(keys: QueueKeys, job_id: str, channel: str = "") -> Call[Ending]:
    """How a job ended; if it has not and ``channel`` is given, that channel hears of it."""
    return Call(AWAIT, (keys.job(job_id), keys.waiters), (job_id, channel), _ending)


def _ending(reply: Any) -> Ending:
    state = word(reply[0])
    return Ending(state) if len(reply) == 1 else Ending(state, reply[1], *_told(reply[2:]))


def _told(rest: Sequence[bytes]) -> tuple[str, bytes]:
    return rest[0].decode("utf-8", "replace"), rest[1]


def cancel(keys: QueueKeys, job_id: str, reason: str = "", now: str = "") -> Flow[str]:
    """End a job that waits, or ask its worker to stop it.

    Returns "cancelled", "requested", "missing", or the state of a job that had ended.
    """
    record, seen = keys.job(job_id), None
    while True:
        lane, unique = texts((yield _fields(record, (Field.LANE, Field.UNIQUE))))
        names = (
            record,
            keys.stream(lane or USUAL_LANE),
            keys.unique_or(unique, record),
            keys.schedule,
            keys.meta,
            keys.waiters,
            keys.cancels,
        )
        args = (now, job_id, lane, unique, reason, ENDED_KEEP_MS, keys.control)
        answer = yield Call(CANCEL, names, args, word)
        if answer != "changed":
            return answer
        if seen == (lane, unique):  # it cannot be read, and would be asked for ever
            raise CorruptKey(record)
        seen = lane, unique


def _fields(key: str, fields: Iterable[str]) -> Call[list[bytes]]:
    return Call(("HMGET",), (key,), tuple(fields), _blank_for_none)


def _blank_for_none(reply: Any) -> list[bytes]:
    return [value or b"" for value in reply]


def record(
    keys: QueueKeys, job_id: str, state: str, keep_ms: int, fields: Sequence[Arg], now: str = ""
) -> Call[str]:
    """Leave the record of a call that ran in the caller's own process."""
    names = (keys.job(job_id), keys.dead, keys.meta)
    return Call(RECORD, names, (now, job_id, state, keep_ms, *fields), word)


def info(keys: QueueKeys, job_id: str, protection: Protection = PLAIN) -> Flow[JobInfo | None]:
    """Everything known of a job; ``running`` is read from the consumer group.

    What is protected is opened; what cannot be is left out, and named in ``protected``.
    """
    fields: dict[str, bytes] = yield Call(("HGETALL",), (keys.job(job_id),), (), mapping)
    told = {name: value.decode("utf-8", "replace") for name, value in fields.items()}
    state = told.get(Field.STATE)
    if state not in set(JobState):
        return None
    worker, due = told.get(Field.WORKER, ""), 0
    envelope, priority = fields.get(Field.ENVELOPE), told.get(Field.PRIORITY, "")
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
        attempts=whole(fields.get(Field.ATTEMPTS, b"")),
        crashes=whole(fields.get(Field.CRASHES, b"")),
        created_at=_time(_ms(fields, Field.CREATED)),
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


def _time(ms: int) -> Any:
    return from_ms(ms) if 0 < ms <= _LAST_MS else None
