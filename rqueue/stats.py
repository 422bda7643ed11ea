"""What became of jobs lately, as it is told: rates, failures, and how long jobs ran and waited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate
from math import sqrt

import msgspec

from rqueue.clock import from_ms
from rqueue.codec import PROTECTED
from rqueue.errors import ProtectionError
from rqueue.history import (
    BOUNDS_S,
    CANCELLED,
    DEAD,
    EXPIRED,
    FAILED,
    LOST,
    MINUTE_MS,
    RETRIES,
    RUN,
    RUN_US,
    SNOOZES,
    SUCCEEDED,
    TIMEOUTS,
    WAIT,
    WAIT_US,
    Counts,
    FailureLine,
    Period,
)
from rqueue.ids import lengthen
from rqueue.protection import Protection

ERROR = 0.13
"""By which part of itself a percentile between 1 ms and 28 h may be off, at the most: it is told
as the geometric mean of its bucket's bounds, which are 1.26 apart."""
_ENDS = (SUCCEEDED, DEAD, CANCELLED, EXPIRED)


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took.

    Attributes:
        count: how often it was measured.
        mean_s: seconds on average, exact; None = it was never measured.
        p50_s: half took no longer than this, in seconds; see ``ERROR``.
        p95_s: 95 of 100 took no longer.
        p99_s: 99 of 100 took no longer.
    """

    count: int = 0
    mean_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


class Slot(msgspec.Struct, frozen=True):
    """A part of the time that was asked for.

    Attributes:
        at: when it begins.
        ended: jobs that ended in it.
        failed: attempts that failed in it.
    """

    at: datetime
    ended: int
    failed: int


class TaskStats(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs of one task in one queue, as its workers saw it.

    Attributes:
        queue: the queue.
        task: the task's name; ``_unknown`` = none that its worker knew, ``_other`` = one too many.
        ended: jobs that reached their end.
        ended_per_minute: on average over the time that was asked for.
        succeeded: jobs, and so attempts, that succeeded.
        failed: attempts that failed, those that took too long included.
        timeouts: those of them that took too long.
        failure_rate: failed by all that failed or succeeded, 0 to 1; None = there were none.
        retries: jobs that were to run again after an attempt that failed.
        snoozes: times that a task asked to run later.
        dead: jobs that ended in the dead set.
        cancelled: jobs that were cancelled in a worker's hands.
        expired: jobs that could not be started in time.
        lost: attempts that ended when the job was another worker's already.
        run: what attempts took.
        wait: from when a job could run until it began; neither delay nor backoff.
        slots: the same time in parts, the earliest first.
    """

    queue: str
    task: str
    ended: int
    ended_per_minute: float
    succeeded: int
    failed: int
    timeouts: int
    failure_rate: float | None
    retries: int
    snoozes: int
    dead: int
    cancelled: int
    expired: int
    lost: int
    run: Durations
    wait: Durations
    slots: tuple[Slot, ...]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that failed, or a job that died without one.

    Attributes:
        at: when, by Redis' clock.
        queue: the job's queue.
        task: its task's name.
        job_id: its id.
        attempt: which attempt, from 1; 0 = its task was not begun.
        outcome: ``retry`` or ``dead``.
        reason: why it is dead.
        type: of the exception; "(protected)" if it cannot be opened here.
        message: the first line of its text.
        worker: who ran it.
    """

    at: datetime
    queue: str
    task: str
    job_id: str
    attempt: int
    outcome: str
    reason: str
    type: str
    message: str
    worker: str


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What became of jobs lately.

    Attributes:
        since: from when on; the beginning of a minute, or of an hour if more than a day was asked.
        until: now, by Redis' clock.
        slot_s: seconds that a slot has.
        is_written: whether any worker has written a history within a day.
        tasks: those that had anything to count, by queue and name.
        failures: the latest, the last one first.
    """

    since: datetime
    until: datetime
    slot_s: int
    is_written: bool
    tasks: tuple[TaskStats, ...]
    failures: tuple[Failure, ...]


_decode_line = msgspec.msgpack.Decoder(FailureLine).decode
_decode_error = msgspec.msgpack.Decoder(tuple[str, str, str]).decode


def failure(data: bytes, queue: str, protection: Protection) -> Failure | None:
    """A failure as it is read; None for what a stranger wrote."""
    try:
        line = _decode_line(data)
        at = from_ms(line.at_ms)
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError):
        return None
    return Failure(
        at=at,
        queue=queue,
        task=line.task,
        job_id=lengthen(line.job_id),
        attempt=line.attempt,
        outcome="dead" if line.reason else "retry",
        reason=line.reason,
        **_error_of(line, queue, protection),
    )


def _error_of(line: FailureLine, queue: str, protection: Protection) -> dict[str, str]:
    try:
        told = _decode_error(protection.open(line.error, "error", queue, line.job_id))
    except ProtectionError as error:
        told = (PROTECTED, str(error), "")
    except (msgspec.MsgspecError, ValueError):
        told = ("unreadable", repr(line.error[:100]), "")
    return dict(zip(("type", "message", "worker"), told, strict=True))


def percentile(counts: Sequence[int], percent: int) -> float | None:
    """About how many seconds so many of a hundred took at the most; None if there were none.

    Args:
        counts: for each bound, and for what is above them all.
        percent: 1 to 100.
    """
    rank = -(-percent * sum(counts) // 100)
    if rank == 0:
        return None
    place = next(n for n, so_far in enumerate(accumulate(counts)) if so_far >= rank)
    if place == 0:
        return BOUNDS_S[0]
    if place == len(BOUNDS_S):
        return BOUNDS_S[-1]
    return sqrt(BOUNDS_S[place - 1] * BOUNDS_S[place])


def task_stats(
    queue: str, task: str, found: Sequence[tuple[Period, Counts]], until_ms: int
) -> TaskStats:
    """What the counts of some periods say together, the earliest first."""
    counts = _sum(counts for _, counts in found)
    ended, failed = _ended(counts), _failed(counts)
    attempts = counts.get(SUCCEEDED, 0) + failed
    return TaskStats(
        queue=queue,
        task=task,
        ended=ended,
        ended_per_minute=ended * MINUTE_MS / max(until_ms - found[0][0].at_ms, 1),
        succeeded=counts.get(SUCCEEDED, 0),
        failed=failed,
        timeouts=counts.get(TIMEOUTS, 0),
        failure_rate=failed / attempts if attempts else None,
        retries=counts.get(RETRIES, 0),
        snoozes=counts.get(SNOOZES, 0),
        dead=counts.get(DEAD, 0),
        cancelled=counts.get(CANCELLED, 0),
        expired=counts.get(EXPIRED, 0),
        lost=counts.get(LOST, 0),
        run=_durations(counts, RUN, RUN_US),
        wait=_durations(counts, WAIT, WAIT_US),
        slots=_slots(found),
    )


def slot_ms(found: Sequence[Period]) -> int:
    """How long the parts are in which these periods are told."""
    return max(period.ms for period in found)


def _slots(found: Sequence[tuple[Period, Counts]]) -> tuple[Slot, ...]:
    ms = slot_ms([period for period, _ in found])
    slots: dict[int, list[Counts]] = {}
    for period, counts in found:
        slots.setdefault(period.at_ms - period.at_ms % ms, []).append(counts)
    return tuple(
        Slot(from_ms(at_ms), sum(map(_ended, parts)), sum(map(_failed, parts)))
        for at_ms, parts in slots.items()
    )


def _sum(parts: Iterable[Counts]) -> Counts:
    total: Counts = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total


def _ended(counts: Counts) -> int:
    return sum(counts.get(name, 0) for name in _ENDS)


def _failed(counts: Counts) -> int:
    return counts.get(FAILED, 0) + counts.get(TIMEOUTS, 0)


def _durations(counts: Counts, bucket: str, sum_us: str) -> Durations:
    held = [counts.get(f"{bucket}{n}", 0) for n in range(len(BOUNDS_S) + 1)]
    count = sum(held)
    return Durations(
        count=count,
        mean_s=counts.get(sum_us, 0) / 1e6 / count if count else None,
        p50_s=percentile(held, 50),
        p95_s=percentile(held, 95),
        p99_s=percentile(held, 99),
    )
