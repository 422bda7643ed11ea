"""How a job ended, as its result or as the exception that says why there is none."""

from __future__ import annotations

from rqueue.codec import decode_error
from rqueue.errors import JobCancelled, JobExpired, JobFailed, JobNotFound, ResultGone
from rqueue.job import AttemptError, JobState
from rqueue.store.calls.jobs import Ending


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
