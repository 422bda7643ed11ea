"""Queues from outside: pause, resume, counts, dead letters, the two registries."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import msgspec

from rqueue.names import PRIORITIES, is_queue
from rqueue.store.call import Call, Flow
from rqueue.store.calls.cron import time_ms
from rqueue.store.calls.entries import unique_of
from rqueue.store.keys import GROUP, LANES, QueueKeys, queues_registry
from rqueue.store.replies import mapping, number, scores, texts, word, words
from rqueue.store.scripts import DISCARD, PAUSE, REQUEUE, RESUME

CAPS = ("cap_waiting", "cap_scheduled", "cap_payload")
"""The fields of ``Q:meta`` that bound a queue; absent = no bound."""
_TARGET = "target_ms"
_CAP_DIGITS = 15
"""The enqueue script takes longer ones for none."""
_COUNT_DIGITS = 19
"""Of the largest number that Redis counts to."""


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How much a queue holds.

    Attributes:
        name: the queue.
        ready: jobs that wait for a worker, by lane; lanes without any are left out.
        running: jobs in workers' hands.
        scheduled: jobs that wait for their time, retries included.
        dead: dead letters.
        workers: workers with a lease.
        is_paused: whether workers leave it alone.
        counters: what happened since the queue began, by verb.
        cap_waiting: how many jobs may be ready or running; producers are refused more. None = any
            number.
        cap_scheduled: how many may wait for their time.
        cap_payload: bytes that the envelope of a new job may have.
        target_s: how long a job should wait at the most until it begins; None = nobody has said.
    """

    name: str
    ready: dict[str, int]
    running: int
    scheduled: int
    dead: int
    workers: int
    is_paused: bool
    counters: dict[str, int]
    cap_waiting: int | None = None
    cap_scheduled: int | None = None
    cap_payload: int | None = None
    target_s: float | None = None


def pause(keys: QueueKeys, now: str = "") -> Call[str]:
    """Workers take nothing more; "paused" or "already"."""
    return Call(PAUSE, (keys.meta,), (now, keys.control), word).on_repeat(_done("paused"))


def resume(keys: QueueKeys) -> Call[str]:
    """Workers take jobs again; "resumed" or "already"."""
    return Call(RESUME, (keys.meta,), (keys.control,), word).on_repeat(_done("resumed"))


def _done(verb: str) -> Callable[[Any], str]:
    """After a lost answer: what is as it should be, our own first try has made so."""
    return lambda reply: verb if word(reply) == "already" else word(reply)


def look(keys: QueueKeys) -> Flow[QueueInfo]:
    """The numbers of one queue, read in one trip."""
    lengths = [Call(("XLEN",), (keys.stream(lane),), (), number) for lane in LANES]
    held = [
        Call(("XPENDING",), (keys.stream(lane),), (GROUP,), _pending).or_absent([])
        for lane in LANES
    ]
    rest: list[Call[Any]] = [
        Call(("ZCARD",), (keys.schedule,), (), number),
        Call(("ZCARD",), (keys.dead,), (), number),
        Call(("ZCARD",), (keys.leases,), (), number),
        Call(("HGETALL",), (keys.meta,), (), mapping),
    ]
    answers = yield [*lengths, *held, *rest]
    count = len(LANES)
    running = answers[count : 2 * count]
    ready = {
        lane: length - busy
        for lane, length, busy in zip(LANES, answers[:count], running, strict=True)
        if length > busy
    }
    scheduled, dead, workers, meta = answers[2 * count :]
    paused = meta.pop("paused", None)
    settings = _settings(meta)
    return QueueInfo(
        name=keys.queue,
        ready=ready,
        running=sum(running),
        scheduled=scheduled,
        dead=dead,
        workers=workers,
        is_paused=paused is not None,
        # A stranger's text is no count.
        counters={
            name: int(value)
            for name, value in meta.items()
            if value.isdigit() and len(value) <= _COUNT_DIGITS
        },
        **settings,
    )


def _settings(meta: dict[str, bytes]) -> dict[str, Any]:
    """What somebody has set, taken out of all that stands there."""
    found: dict[str, Any] = {name: _cap(meta.pop(name, b"")) for name in CAPS}
    target_ms = _cap(meta.pop(_TARGET, b""))
    return found | {"target_s": target_ms / 1000 if target_ms else None}


def limit(keys: QueueKeys, name: str, cap: int | None) -> Call[int]:
    """Set one of ``CAPS``, or take it away; from now on, for producers only."""
    if cap is None:
        return Call(("HDEL",), (keys.meta,), (name,), number)
    return Call(("HSET",), (keys.meta,), (name, cap), number)


def aim(keys: QueueKeys, wait_ms: int | None) -> Call[int]:
    """Say how long a job should wait at the most, or that it may wait for as long as it does."""
    return limit(keys, _TARGET, wait_ms)


def bearings(queues: Sequence[QueueKeys]) -> Flow[tuple[int, dict[str, float]]]:
    """Redis' clock in ms, and how many seconds a job should wait in those queues that say so."""
    aims = [Call(("HGET",), (keys.meta,), (_TARGET,), _target) for keys in queues]
    now_ms, *found = yield [time_ms(), *aims]
    targets = {keys.queue: one / 1000 for keys, one in zip(queues, found, strict=True) if one}
    return now_ms, targets


def _target(reply: Any) -> int | None:
    return _cap(reply or b"")


def _cap(written: bytes) -> int | None:
    return int(written) if written.isdigit() and len(written) <= _CAP_DIGITS else None


def _pending(reply: Any) -> int:
    return int(reply[0]) if reply else 0


def dead(keys: QueueKeys, offset: int, count: int) -> Call[list[tuple[str, float]]]:
    """Dead letters, the latest first: (short id, died ms)."""
    args = (offset, offset + count - 1, "WITHSCORES")
    return Call(("ZREVRANGE",), (keys.dead,), args, scores)


def oldest_dead(keys: QueueKeys, offset: int, count: int) -> Call[list[str]]:
    """Dead letters, the oldest first: those that come meanwhile come behind."""
    return Call(("ZRANGE",), (keys.dead,), (offset, offset + count - 1), texts)


def dead_before(keys: QueueKeys, before_ms: int, count: int) -> Call[list[str]]:
    """The oldest dead letters that died before a time."""
    return Call(
        ("ZRANGEBYSCORE",), (keys.dead,), ("-inf", f"({before_ms}", "LIMIT", 0, count), texts
    )


def among_dead(keys: QueueKeys, ids: Sequence[str]) -> Call[set[str]]:
    """Which of these are dead letters."""

    def parse(reply: Any) -> set[str]:
        return {one for one, died in zip(ids, reply, strict=True) if died is not None}

    return Call(("ZMSCORE",), (keys.dead,), ids, parse)


def _again(ids: Sequence[str], known: Container[str], verb: str) -> Callable[[Any], list[str]]:
    """After a lost answer: who was dead before and is no more, has been moved by our first try."""

    def parse(reply: Any) -> list[str]:
        pairs = zip(ids, words(reply), strict=True)
        return [verb if said == "missing" and one in known else said for one, said in pairs]

    return parse


def requeue(keys: QueueKeys, ids: Sequence[str], known: Container[str] = ()) -> Flow[list[str]]:
    """Dead jobs get a new life; per job "requeued", "missing", "locked" or "corrupt".

    ``known`` are those that were dead letters just before: see ``among_dead``.

    Two steps: the unique keys are read first, so that the script has their locks declared.
    """
    answers, seen = [""] * len(ids), dict[int, str]()
    left = list(range(len(ids)))
    while left:
        uniques: list[str] = yield [unique_of(keys, ids[n]).or_absent(b"") for n in left]
        pairs = [(ids[n], unique) for n, unique in zip(left, uniques, strict=True)]
        said: list[str] = yield _requeue(keys, pairs, known)
        again: list[int] = []
        for n, unique, one in zip(left, uniques, said, strict=True):
            if one == "changed" and seen.get(n) != unique:
                again.append(n)
                seen[n] = unique
            else:  # what is twice read alike, and yet changed, cannot be read
                answers[n] = "corrupt" if one == "changed" else one
        left = again
    return answers


def _requeue(
    keys: QueueKeys, jobs: Sequence[tuple[str, str]], known: Container[str]
) -> Call[list[str]]:
    names = [keys.dead, keys.meta, *(keys.stream(priority) for priority in PRIORITIES)]
    for job_id, unique in jobs:
        record = keys.job(job_id)
        names += (record, keys.unique_or(unique, record))
    asked = Call(REQUEUE, names, [text for pair in jobs for text in pair], words)
    return asked.on_repeat(_again([job_id for job_id, _ in jobs], known, "requeued"))


def discard(
    keys: QueueKeys, ids: Sequence[str], before: str = "", known: Container[str] = ()
) -> Call[list[str]]:
    """Dead jobs are forgotten; per job "discarded", "missing" or "corrupt".

    ``known`` as of ``requeue``.
    """
    names = (keys.dead, keys.meta, *(keys.job(one) for one in ids))
    asked = Call(DISCARD, names, (before, *ids), words)
    return asked.on_repeat(_again(ids, known, "discarded"))


def announce(namespace: str, queue: str) -> Call[int]:
    """Put a queue into the registry; once per process and queue."""
    return Call(("SADD",), (queues_registry(namespace),), (queue,), number)


def queues(namespace: str) -> Call[list[str]]:
    """Every queue that was ever written, sorted."""
    return Call(
        ("SMEMBERS",),
        (queues_registry(namespace),),
        (),
        # Strangers write this set too; a name that no queue can have is none.
        lambda reply: sorted(name for name in texts(reply) if is_queue(name)),
    )
