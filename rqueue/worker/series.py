"""Where what becomes of the jobs of one task in one queue is counted."""

from __future__ import annotations

from rqueue.codec import decode_error
from rqueue.errors import AttemptTimeout
from rqueue.job import AttemptError
from rqueue.outcome import Bury, DeadReason, Outcome, TryAgain
from rqueue.worker.scale import Scale
from rqueue.worker.tally import Histogram, QueueTally, TaskTally

MOST_ERRORS = 50
"""Types of exceptions of one task; what is new beyond them is counted as ``OTHER``."""
OTHER = "_other"
ENDS = {"complete": "", "bury": "dead", "cancel": "cancelled", "expire": "expired"}
"""What a job that ended so is counted as, by the verb of its outcome."""
_ATTEMPTS = {"retry": "failed", "bury": "failed", "cancel": "cancelled"}
_RETRIES = {"retry": "error", "snooze": "snooze"}
_TIMEOUT = f"{AttemptTimeout.__module__}.{AttemptTimeout.__qualname__}"
_TOO_LATE = frozenset({DeadReason.DEADLINE, DeadReason.TOO_LATE})


class Series:
    """Where what becomes of one task's jobs in one queue is counted.

    Attributes:
        place: queue and task, as they are counted.
        task: what is counted of the task; its durations are filled in when they are asked for.
        queue: what is counted of the queue; likewise.
        queue_name: under which name that is.
        run: what attempts took, in the buckets of the scale.
        wait: how long its jobs waited, likewise.
        total: what jobs of its queue took in all.
    """

    __slots__ = ("place", "queue", "queue_name", "run", "task", "total", "wait")

    def __init__(
        self, place: tuple[str, str], queue_name: str, queue: QueueTally, run: Scale, wait: Scale
    ) -> None:
        self.place = place
        self.task = TaskTally(run.shown([]))
        self.queue = queue
        self.queue_name = queue_name
        self.run = Histogram.empty(run.bounds)
        self.wait = Histogram.empty(wait.bounds)
        self.total = queue.total

    def count(self, outcome: Outcome, *, has_begun: bool) -> AttemptError | None:
        """What ended in another way than well; how it failed, if it did."""
        verb, task = outcome.verb, self.task
        error = None
        if isinstance(outcome, Bury | TryAgain):
            error = decode_error(outcome.error)
            if has_begun:
                _name_error(task, error.type)
        is_timeout = has_begun and error is not None and error.type == _TIMEOUT
        if has_begun and verb in _ATTEMPTS:
            task.attempts["timeout" if is_timeout else _ATTEMPTS[verb]] += 1
        if verb in ENDS:
            task.ends[ENDS[verb]] += 1
        if verb in _RETRIES:
            task.retries["timeout" if is_timeout else _RETRIES[verb]] += 1
        if not has_begun:
            _reject(self.queue, outcome)
        return error


def _reject(queue: QueueTally, outcome: Outcome) -> None:
    """What was not even begun."""
    match outcome.verb:
        case "expire":
            queue.rejected["expired"] += 1
        case "park":
            queue.rejected["unknown_task"] += 1
        case "bury":
            reason = outcome.reason if isinstance(outcome, Bury) else ""
            if reason == DeadReason.ORPHAN:  # given back unread
                return
            queue.rejected["expired" if reason in _TOO_LATE else "decode"] += 1
        case _:
            return


def _name_error(task: TaskTally, error: str) -> None:
    name = error if error in task.errors or len(task.errors) < MOST_ERRORS else OTHER
    task.errors[name] = task.errors.get(name, 0) + 1
