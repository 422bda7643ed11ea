"""What can be asked of queues and workers, as flows: once for async and for blocking code."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from rqueue.clock import from_ms
from rqueue.codec import decode
from rqueue.config import StoreConfig, check_range
from rqueue.envelope import named
from rqueue.errors import CodecError
from rqueue.history import KEPT_S, MOST_FAILURES, Counts, Period, periods
from rqueue.ids import lengthen, shorten
from rqueue.job import JobInfo
from rqueue.names import check_queue, check_task
from rqueue.options import Seconds, period
from rqueue.stats import Failure, Stats, TaskStats, failure, slot_ms, task_stats
from rqueue.store.call import Call, Flow
from rqueue.store.calls import history
from rqueue.store.calls import queues as calls
from rqueue.store.calls import workers as registry
from rqueue.store.calls.cron import time_ms
from rqueue.store.calls.info import job_info
from rqueue.store.calls.queues import QueueInfo
from rqueue.store.keys import QueueKeys, queue_keys

_BATCH = 100
_PAGE = 1000
_LARGEST_CAP = 10**12
_LONGEST_TARGET_S = 7 * 24 * 3600
Cap = int | None | UnsetType
"""A cap as it is given: a number, None for no cap, or ``UNSET`` to leave it as it is."""


def queues(namespace: str, names: Sequence[str] = ()) -> Flow[list[QueueInfo]]:
    """These queues, or every queue that was ever written."""
    wanted: Sequence[str] = names or (yield calls.queues(namespace))
    keys = [queue_keys(namespace, check_queue(name)) for name in wanted]
    found: list[QueueInfo] = []
    for one in keys:
        info = yield from calls.look(one)
        found.append(info)
    return found


def pause(namespace: str, queue: str) -> Flow[str]:
    """``paused`` or ``already``."""
    return (yield calls.pause(queue_keys(namespace, queue)))


def resume(namespace: str, queue: str) -> Flow[str]:
    """``resumed`` or ``already``."""
    return (yield calls.resume(queue_keys(namespace, queue)))


def limit(
    namespace: str,
    queue: str,
    waiting: Cap = UNSET,
    scheduled: Cap = UNSET,
    payload: Cap = UNSET,
) -> Flow[QueueInfo]:
    """Cap a queue, known so far or not; what is left out stays as it is, None takes a cap away."""
    keys = queue_keys(namespace, check_queue(queue))
    caps, steps = (waiting, scheduled, payload), list[Call[Any]]()
    for name, cap in zip(calls.CAPS, caps, strict=True):
        if cap is not UNSET:
            if cap is not None:
                check_range(cap, name, 1, _LARGEST_CAP, whole=True)
            steps.append(calls.limit(keys, name, cap))
    if steps:
        yield steps
    if any(caps):
        yield calls.announce(namespace, queue)
    return (yield from calls.look(keys))


def aim(namespace: str, queue: str, wait_s: float | None) -> Flow[QueueInfo]:
    """Say how many seconds a job of a queue should wait at the most; None = nobody minds."""
    keys = queue_keys(namespace, check_queue(queue))
    if wait_s is not None:
        check_range(wait_s, "target", 0.001, _LONGEST_TARGET_S)
        yield calls.announce(namespace, queue)
    yield calls.aim(keys, None if wait_s is None else round(wait_s * 1000))
    return (yield from calls.look(keys))


def dead(config: StoreConfig, queue: str, offset: int, limit: int) -> Flow[list[JobInfo]]:
    """Dead letters, the latest first."""
    keys = queue_keys(config.namespace, queue)
    listed: list[tuple[str, float]] = yield calls.dead(keys, offset, limit)
    found: list[JobInfo] = []
    for job_id, _ in listed:
        info: JobInfo | None = yield from job_info(keys, job_id, config.protection)
        if info is not None:
            found.append(named(info, config.max_payload))
    return found


def stats(
    config: StoreConfig, queues: Sequence[str], task: str | None, since: Seconds, failures: int
) -> Flow[Stats]:
    """What became of the jobs of these queues, or of all, since so many seconds."""
    since_s = check_range(period(since), "since", 60, KEPT_S)
    check_range(failures, "failures", 0, MOST_FAILURES, whole=True)
    if task is not None:
        check_task(task)
    names: Sequence[str] = queues or (yield calls.queues(config.namespace))
    now_ms: int = yield time_ms()
    asked = periods(now_ms, since_s)
    since_at = from_ms(asked[0].at_ms)
    told: list[TaskStats] = []
    failed: list[Failure] = []
    is_written = False
    for name in names:
        keys = queue_keys(config.namespace, check_queue(name))
        counts: list[dict[str, Counts]] = yield from history.counts(keys, asked, task)
        told += _of_tasks(name, asked, counts, now_ms)
        is_written = is_written or (yield history.bookings(keys)) > 0
        lines: list[bytes] = yield history.failures(keys)
        failed += (one for line in lines if (one := failure(line, name, config.protection)))
    failed = [one for one in failed if one.at >= since_at and task in (None, one.task)]
    failed.sort(key=lambda one: one.at, reverse=True)
    return Stats(
        since=since_at,
        until=from_ms(now_ms),
        slot_s=slot_ms(asked) // 1000,
        is_written=is_written,
        tasks=tuple(told),
        failures=tuple(failed[:failures]),
    )


def _of_tasks(
    queue: str, asked: Sequence[Period], counts: Sequence[dict[str, Counts]], now_ms: int
) -> list[TaskStats]:
    tasks = sorted({task for by_task in counts for task in by_task})
    return [
        task_stats(
            queue,
            task,
            [(at, one.get(task, {})) for at, one in zip(asked, counts, strict=True)],
            now_ms,
        )
        for task in tasks
    ]


class Requeued(msgspec.Struct, frozen=True):
    """What became of dead jobs that were to run again.

    Attributes:
        count: how many run again.
        refused: why the others do not, by id: ``locked`` (another job holds its unique key),
            ``missing`` (it is not among the dead jobs) or ``corrupt`` (a key of a wrong type, or a
            stream that takes no more jobs).
    """

    count: int
    refused: dict[str, str]


def requeue(namespace: str, queue: str, ids: Sequence[str] | None) -> Flow[Requeued]:
    """Dead jobs run again: these, or all."""
    keys = queue_keys(namespace, queue)

    def change(batch: Sequence[str], known: Container[str]) -> Flow[list[str]]:
        return (yield from calls.requeue(keys, batch, known))

    said = yield from _of_dead(keys, ids, change)
    refused = {lengthen(one): why for one, why in said.items() if why != "requeued"}
    return Requeued(len(said) - len(refused), refused)


def discard(namespace: str, queue: str, ids: Sequence[str] | None) -> Flow[int]:
    """Dead jobs are forgotten: these, or all; returns how many."""
    keys = queue_keys(namespace, queue)

    def change(batch: Sequence[str], known: Container[str]) -> Flow[list[str]]:
        return (yield calls.discard(keys, batch, known=known))

    said = yield from _of_dead(keys, ids, change)
    return list(said.values()).count("discarded")


def find(config: StoreConfig, job_id: str) -> Flow[JobInfo | None]:
    """A job by its id alone: every queue is asked."""
    names: list[str] = yield calls.queues(config.namespace)
    for name in names:
        keys = queue_keys(config.namespace, name)
        info: JobInfo | None = yield from job_info(keys, shorten(job_id), config.protection)
        if info is not None:
            return named(info, config.max_payload)
    return None


def workers(namespace: str) -> Flow[dict[str, dict[str, Any]]]:
    """Every worker that introduced itself, and what it said; {} where that cannot be read."""
    cards: dict[str, bytes] = yield registry.workers(namespace)
    return {worker: opened(card) for worker, card in sorted(cards.items())}


def opened(said: bytes) -> dict[str, Any]:
    """What a worker has said of itself; {} where that cannot be read."""
    try:
        told = decode(said)
    except CodecError:
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _of_dead(
    keys: QueueKeys,
    ids: Sequence[str] | None,
    change: Callable[[Sequence[str], Container[str]], Flow[list[str]]],
) -> Flow[dict[str, str]]:
    """What is said of each of these dead jobs, or of all that are dead by now; by short id."""
    chosen = [shorten(one) for one in ids or ()]
    if ids is None:
        # All are listed before the first is changed: what stays dead, and what dies anew, must
        # neither be asked for again and again nor hide what stands behind it.
        while page := (yield calls.oldest_dead(keys, len(chosen), _PAGE)):
            chosen += page
    chosen = list(dict.fromkeys(chosen))  # asked twice, the second answer would stand for both
    said: dict[str, str] = {}
    for start in range(0, len(chosen), _BATCH):
        batch = chosen[start : start + _BATCH]
        known: set[str] = yield calls.among_dead(keys, batch)
        answers: list[str] = yield from change(batch, known)
        said.update(zip(batch, answers, strict=True))
    return said
