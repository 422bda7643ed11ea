"""Every exception rqueue raises.

    RqueueError
    ├── ConfigError            a setting or a declaration is wrong; nothing was started
    ├── EnqueueError           the job was refused; nothing was written
    │   ├── InvalidArguments   the arguments do not fit the task, or cannot be encoded
    │   ├── PayloadTooLarge    the encoded envelope is above the limit
    │   ├── Conflict           the id is taken by a job with other content
    │   ├── QueueFull          the queue holds as many jobs as its cap allows
    │   └── PartlyRefused      of several jobs some were refused; carries the handles of the others
    ├── StoreError             Redis could not be reached or answered badly
    │   ├── StoreUnavailable   no answer: whether the command ran is unknown
    │   ├── StoreFull          Redis is out of memory and refused to write
    │   ├── NotDurable         the job may exist, but fewer replicas or disks than wished have it
    │   └── CorruptKey         a key holds another type than rqueue writes
    │       └── StreamExhausted  a stream takes no more jobs, for it holds the highest id
    ├── ScheduleNotFound       there is no schedule of that name
    ├── UnknownTask            no task of that name is registered here
    ├── CodecError             bytes that are no envelope, result or error of ours
    │   └── ProtectionError    not signed or encrypted as it must be; nothing of it was decoded
    ├── AttemptTimeout         an attempt took longer than its timeout (seen by retry policies)
    └── ResultError            a job gave no result
        ├── JobNotFound        no such job, or its record has expired
        ├── JobFailed          it is dead; carries type, text and traceback
        ├── JobCancelled       it was cancelled or discarded
        ├── JobExpired         it could not be started in time
        ├── ResultGone         it succeeded, but its result was not kept
        └── ResultTimeout      it has not ended yet

The signals a task may raise (``Snooze``, ``RetryAfter``, ``Discard``, ``Fail``) are not errors;
they live in ``rqueue.outcome``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


class RqueueError(Exception):
    """Base of everything rqueue raises."""


class ConfigError(RqueueError, ValueError):
    """A setting or a declaration is wrong; raised before anything starts."""


class EnqueueError(RqueueError):
    """A job was refused before anything was written."""


class InvalidArguments(EnqueueError, TypeError):
    """The arguments do not fit the task's signature, or cannot be encoded."""


class PayloadTooLarge(EnqueueError):
    """The encoded envelope is larger than the limit of the app, or than the cap of the queue.

    Attributes:
        size: bytes of the encoded envelope.
        limit: bytes allowed.
    """

    def __init__(self, task: str, size: int, limit: int, queue: str = "") -> None:
        whose = f"the cap of queue {queue!r}" if queue else "the limit"
        more = (
            f"the cap: rqueue queues limit {queue} --payload N"
            if queue
            else "App(max_payload=...)."
        )
        super().__init__(
            f"the call of {task!r} takes {size:,} bytes, {whose} is {limit:,}. "
            f"Store the data elsewhere and pass a reference, or raise {more}"
        )
        self.size = size
        self.limit = limit


class Conflict(EnqueueError):
    """The job id is taken by a job with other content."""

    def __init__(self, job_id: str, queue: str) -> None:
        super().__init__(
            f"job {job_id!r} exists in queue {queue!r} with other content. "
            "An id names one call: use another id, or the same task, arguments and options (but "
            "delay, run_at, expires, deadline and headers, which may differ)."
        )
        self.job_id = job_id


class QueueFull(EnqueueError):
    """A queue holds as many jobs as its cap allows; this one was not written.

    Attributes:
        queue: the queue.
        which: ``waiting`` (ready or running), or ``scheduled`` (delayed, retries included).
        cap: how many there may be.
    """

    def __init__(self, queue: str, which: str, cap: int) -> None:
        held = "jobs wait or run" if which == "waiting" else "jobs wait for their time"
        super().__init__(
            f"queue {queue!r} is full: {cap:,} {held}, and no more are taken. Send it again "
            f"later, add workers, or raise the cap: rqueue queues limit {queue} --{which} N"
        )
        self.queue = queue
        self.which = which
        self.cap = cap


class PartlyRefused(EnqueueError):
    """Of several jobs some were refused; the others are enqueued.

    Attributes:
        outcomes: in the order of the calls: a ``Job``, or the error that refused it.
    """

    def __init__(self, outcomes: Sequence[object]) -> None:
        errors = [one for one in outcomes if isinstance(one, RqueueError)]
        super().__init__(
            f"{len(errors)} of {len(outcomes)} jobs were refused, the others are enqueued; see "
            f".outcomes. The first refusal: {errors[0]}"
        )
        self.outcomes = outcomes


class StoreError(RqueueError):
    """Redis could not be reached or answered badly."""


class StoreUnavailable(StoreError):
    """Redis gave no answer; whether the command ran is unknown.

    Attributes:
        job_ids: for an enqueue, the ids of the jobs that may or may not exist now. Sending the same
            calls again (or the same ``job_id``) is safe.
    """

    job_ids: tuple[str, ...] = ()


class StoreFull(StoreError):
    """Redis is out of memory (``maxmemory``) and refused to write; nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "Redis is out of memory and refused to write; nothing was written. Let the queue "
            "drain, raise maxmemory, or look for keys without TTL"
        )


class NotDurable(StoreError):
    """Fewer replicas than wished had the job in time, or the disk did not; it may exist.

    Attributes:
        job_ids: the jobs in doubt. Sending the same calls again (or the same ``job_id``) is safe,
            and waits again.
        wanted: replicas that were to have them; 1 for the disk.
        got: how many had.
    """

    def __init__(self, job_ids: Sequence[str], mode: str, wanted: int, got: int) -> None:
        who, cause = {
            "fsync": ("disks", "slow, or appendfsync is no"),
            "replicated": ("replicas", "down, cut off or behind"),
        }[mode]
        jobs = f"job {job_ids[0]!r}" if len(job_ids) == 1 else f"{len(job_ids)} jobs"
        super().__init__(
            f"{jobs}: {got} of {wanted} {who} had the enqueue in time; they may be {cause}. "
            "What was enqueued exists and may run, but may be lost with the server. Send the same "
            "calls (ids) again: that is safe, and waits again"
        )
        self.job_ids = tuple(job_ids)
        self.wanted = wanted
        self.got = got


class CorruptKey(StoreError):
    """A key holds another type than rqueue writes; nothing was changed."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} holds another type than rqueue writes; nothing was changed. Something else "
            "writes under rqueue's namespace: find it, or use another namespace"
        )


class StreamExhausted(CorruptKey):
    """The stream of this key takes no more jobs; nothing was changed."""

    def __init__(self, stream: str) -> None:
        StoreError.__init__(
            self,
            f"stream {stream!r} takes no more jobs: something else wrote an entry with the highest "
            "id there is; nothing was changed. What is in it still runs: when it is empty (XLEN), "
            "delete it (DEL), and workers make it anew. Find what writes under rqueue's namespace",
        )


class ScheduleNotFound(RqueueError):
    """There is no schedule of that name."""

    def __init__(self, name: str, namespace: str) -> None:
        super().__init__(
            f"there is no schedule {name!r} in namespace {namespace!r}. "
            "See which there are: rqueue schedules list"
        )
        self.name = name


class WorkerNotFound(RqueueError):
    """No worker of that name has introduced itself."""


class WorkerSilent(RqueueError):
    """A worker was asked something and did not answer."""


class UnknownTask(RqueueError, LookupError):
    """No task of that name is registered in this app."""


class CodecError(RqueueError):
    """Bytes that are no envelope, result or error of ours, or of a newer version."""


class ProtectionError(CodecError):
    """Bytes that are not signed or encrypted as they must be; nothing of them was decoded.

    Attributes:
        reason: ``bad_signature`` or ``decrypt``: unprotected, changed, made for another job or
            with a key that is not known here; ``no_keys``: protected, and the app has no keys.
    """

    def __init__(
        self, reason: Literal["bad_signature", "decrypt", "no_keys"], message: str
    ) -> None:
        super().__init__(message)
        self.reason = reason


class AttemptTimeout(RqueueError):
    """An attempt took longer than its timeout; what ``Retry(on=..., never=...)`` may name."""

    def __init__(self, seconds: float, *, is_deadline: bool = False) -> None:
        told = f"the attempt took longer than its timeout of {seconds:g} s"
        if is_deadline:
            told = f"the attempt was ended after {seconds:g} s: the job's deadline had come"
        super().__init__(told)


class ResultError(RqueueError):
    """A job gave no result."""


class JobNotFound(ResultError, LookupError):
    """There is no such job, or its record has expired."""

    def __init__(self, job_id: str, queue: str) -> None:
        super().__init__(
            f"no job {job_id!r} in queue {queue!r}. It was never enqueued there, or its record "
            "expired (a finished job is kept for its task's result_ttl)."
        )
        self.job_id = job_id


class JobFailed(ResultError):
    """A job ended in the dead set.

    Attributes:
        job_id: the job.
        reason: why it is dead: ``failed``, ``fail``, ``crashed``, ``arguments``, ``result``,
            ``decode``, ``too_large``, ``bad_signature``, ``decrypt``, ``unknown_task``,
            ``newer_version``, ``upgrade``, ``orphan``.
        error_type: qualified name of the last exception, or "".
        message: text of the last exception, capped.
        traceback: text of its traceback, capped.
    """

    def __init__(
        self, job_id: str, reason: str, error_type: str, message: str, traceback: str
    ) -> None:
        what = f"{error_type}: {message}" if error_type else reason
        super().__init__(f"job {job_id!r} is dead ({reason}): {what}")
        self.job_id = job_id
        self.reason = reason
        self.error_type = error_type
        self.message = message
        self.traceback = traceback


class JobCancelled(ResultError):
    """A job was cancelled, or discarded by its own task."""

    def __init__(self, job_id: str, reason: str = "") -> None:
        super().__init__(f"job {job_id!r} was cancelled" + (f": {reason}" if reason else ""))
        self.job_id = job_id
        self.reason = reason


class JobExpired(ResultError):
    """A job could not be started before its ``expires``."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id!r} could not be started before its expires")
        self.job_id = job_id


class ResultGone(ResultError):
    """A job succeeded, but its result was not kept or is no longer there."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"job {job_id!r} succeeded, but its result was not kept: the task's result_ttl is 0 "
            "or has passed"
        )
        self.job_id = job_id


class ResultTimeout(ResultError, TimeoutError):
    """A job has not ended within the time given to wait; it goes on."""

    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(
            f"job {job_id!r} has not ended after {seconds:g} s; it goes on. Wait longer, or look "
            "at it with job.info()"
        )
        self.job_id = job_id
