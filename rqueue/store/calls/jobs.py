"""A job from outside: enqueue, wait, cancel, reschedule, record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from rqueue.config import MAX_CRASHES
from rqueue.errors import CorruptKey
from rqueue.names import PRIORITIES
from rqueue.store.call import Arg, Call, Flow
from rqueue.store.keys import USUAL_LANE, Field, QueueKeys
from rqueue.store.replies import texts, whole, word
from rqueue.store.scripts import AWAIT, CANCEL, ENQUEUE, RECORD, RESCHEDULE
from rqueue.veiled import Veiled

ENDED_KEEP_MS = 3_600_000
"""How long a cancelled or expired job is remembered: as long as a result by default."""


class NewJob(Veiled, msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """What Redis said of a new job.

    Attributes:
        status: the word of the script.
        holder: if it is locked, the short id of the job that holds its unique key.
        place: if it is capped, by which cap: ``waiting``, ``scheduled`` or ``payload``; if it is
            exhausted, the key of the stream that takes no more.
        cap: how many jobs may be there, or how many bytes an envelope may have.
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
    names, prefix = [*keys.of_enqueue], keys.jobs
    args: list[Arg] = [now, keys.wake]
    for job in jobs:
        record = prefix + job.id
        names += (record, keys.unique(job.unique) if job.unique else record)
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


def awaiting(keys: QueueKeys, job_id: str, channel: str = "", now: str = "") -> Call[Ending]:
    """How a job ended; if it has not and ``channel`` is given, that channel hears of it."""
    return Call(AWAIT, (keys.job(job_id), keys.waiters), (now, job_id, channel), _ending)


def finished_ms(keys: QueueKeys, job_id: str) -> Call[int]:
    """When a job ended, or 0."""
    return Call(
        ("HGET",), (keys.job(job_id),), (Field.FINISHED,), lambda reply: whole(reply or b"")
    )


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


def reschedule(keys: QueueKeys, job_id: str, due: str, now: str = "") -> Flow[str]:
    """Give a job that waits another time: ``+<ms>`` = that long from now, ``<ms>`` = at that time.

    Returns "rescheduled", "queued" (it is due by then), "running", "missing", or the state of a
    job that had ended.
    """
    record, seen = keys.job(job_id), None
    lanes = (*PRIORITIES, "suspect", "last")
    while True:
        (lane,) = texts((yield _fields(record, (Field.LANE,))))
        source = keys.stream(lane or USUAL_LANE)
        names = (record, source, keys.schedule, keys.meta, *(keys.stream(one) for one in lanes))
        priority = lane if lane in PRIORITIES else USUAL_LANE
        args = (now, job_id, lane, priority, due, MAX_CRASHES, keys.wake)
        answer = yield Call(RESCHEDULE, names, args, word)
        if answer != "changed":
            return answer
        if seen == lane:  # it cannot be read, and would be asked for ever
            raise CorruptKey(record)
        seen = lane


def _fields(key: str, fields: Iterable[str]) -> Call[list[bytes]]:
    return Call(("HMGET",), (key,), tuple(fields), _blank_for_none)


def _blank_for_none(reply: Any) -> list[bytes]:
    return [value or b"" for value in reply]


def record(
    keys: QueueKeys, job: NewJob, state: str, keep_ms: int, fields: Sequence[Arg], now: str = ""
) -> Call[str]:
    """Leave the record of a call that ran in the caller's own process.

    "recorded", "duplicate" (the same call has left one), "conflict" (another call has) or
    "corrupt". After a lost answer, a duplicate is what our own first try recorded.
    """
    names = (keys.job(job.id), keys.dead, keys.meta)
    args = (now, job.id, state, keep_ms, job.digest, *fields)
    return Call(RECORD, names, args, word).on_repeat(_recorded_again)


def _recorded_again(reply: Any) -> str:
    said = word(reply)
    return "recorded" if said == "duplicate" else said
