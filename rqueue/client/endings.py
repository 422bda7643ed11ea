"""How a job ended, as its result or as the exception that says why there is none."""

from __future__ import annotations

import msgspec

from rqueue.codec import decode_error, encode_error, open_error
from rqueue.errors import JobCancelled, JobExpired, JobFailed, JobNotFound, ResultGone
from rqueue.job import AttemptError, JobState
from rqueue.outcome import DeadReason
from rqueue.protection import PLAIN, Protection
from rqueue.store.calls.jobs import Ending


def open_ending(ending: Ending, protection: Protection, queue: str, job_id: str) -> Ending:
    """An ending as it was before its result and error were protected; ``job_id`` is short.

    Raises:
        ProtectionError: the result is not what was protected for this job.
    """
    if protection is PLAIN and ending.result is None and not ending.error:
        return ending
    result, error = ending.result, ending.error
    if result is not None:
        result = protection.open(result, "result", queue, job_id)
    if error:
        is_crash = ending.reason == DeadReason.CRASHED
        error = encode_error(open_error(error, protection, queue, job_id, is_crash=is_crash))
    return msgspec.structs.replace(ending, result=result, error=error)


def result_of(ending: Ending, job_id: str, queue: str) -> bytes:
    """The encoded result of a job that ended.

    Raises:
        ResultError: the one that fits how it ended.
    """
    if ending.state == JobState.SUCCEEDED:
        if ending.result is None:
            raise ResultGone(job_id)
        return ending.result
    if ending.state == JobState.DEAD:
        last = decode_error(ending.error) if ending.error else AttemptError(attempt=0, type="")
        raise JobFailed(job_id, ending.reason, last.type, last.message, last.traceback)
    if ending.state == JobState.CANCELLED:
        raise JobCancelled(job_id, ending.reason)
    if ending.state == JobState.EXPIRED:
        raise JobExpired(job_id)
    raise JobNotFound(job_id, queue)
