"""The schedule: what is due, and moving it to its stream."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import msgspec

from rqueue.config import MAX_CRASHES
from rqueue.names import PRIORITIES
from rqueue.store.call import Call, Flow
from rqueue.store.keys import LANES, QueueKeys
from rqueue.store.replies import number, scores, texts, words
from rqueue.store.scripts import DUE, PROMOTE

BATCH = 100
"""Jobs of one call: 2 ms of the server's time, 4 on a busy machine, where 250 took 9 to 14."""


class Due(msgspec.Struct, frozen=True):
    """Ids that are due, and ms until the next one that is not listed (None = none waits)."""

    ids: list[str]
    wait_ms: int | None


class Moved(msgspec.Struct, frozen=True):
    """What became of each job, and what is due next."""

    answers: list[str]
    after: Due


class Promoted(msgspec.Struct, frozen=True):
    """What a round came to.

    Attributes:
        count: jobs that were moved.
        wait_ms: ms until the next job behind those listed; None = none waits.
        listed: jobs that were due.
        stuck: those of them that cannot go: their record is of a wrong type, or their stream is, or
            it takes no more entries. They stay at the head of the schedule.
        after: jobs that are due next, for the next round.
    """

    count: int
    wait_ms: int | None
    listed: int = 0
    stuck: int = 0
    after: tuple[str, ...] = ()


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue has to do at a moment, and when it will have more.

    Attributes:
        due_jobs: whether a job is due.
        due_ticks: whether a tick of a schedule is.
        next_ms: when the first job or tick is due that is not yet; None = none will be.
        entries: jobs that are ready or run.
        is_paused: whether workers leave it alone.
    """

    due_jobs: bool
    due_ticks: bool
    next_ms: int | None
    entries: int
    is_paused: bool


def outlooks(queues: Sequence[QueueKeys], now_ms: int) -> Flow[list[Outlook]]:
    """The outlook of each of these queues, in one trip."""
    answers: list[Any] = yield [call for keys in queues for call in _looks(keys, now_ms)]
    width = len(answers) // len(queues)
    return [_outlook(answers[n : n + width]) for n in range(0, len(answers), width)]


def _looks(keys: QueueKeys, now_ms: int) -> list[Call[Any]]:
    # Schedules that are paused or over stand at infinity.
    behind = (f"({now_ms}", "(+inf", "WITHSCORES", "LIMIT", 0, 1)
    timed = (keys.schedule, keys.cron)
    return [
        *(Call(("ZCOUNT",), (key,), ("-inf", now_ms), number) for key in timed),
        *(Call(("ZRANGEBYSCORE",), (key,), behind, scores) for key in timed),
        Call(("HEXISTS",), (keys.meta, "paused"), (), bool),
        *(Call(("XLEN",), (keys.stream(lane),), (), number) for lane in LANES),
    ]


def _outlook(answers: Sequence[Any]) -> Outlook:
    due_jobs, due_ticks, job, tick, is_paused, *lengths = answers
    following = [ceil(score) for _, score in (*job, *tick)]  # a stranger's may be a fraction
    return Outlook(
        due_jobs=due_jobs > 0,
        due_ticks=due_ticks > 0,
        next_ms=min(following, default=None),
        entries=sum(lengths),
        is_paused=is_paused,
    )


def due(keys: QueueKeys, limit: int = BATCH, now: str = "", *, skip: int = 0) -> Call[Due]:
    """Which jobs are due, behind the first so many."""
    return Call(DUE, (keys.schedule,), (now, limit, skip), _due)


def _due(reply: Any) -> Due:
    wait, *ids = texts(reply)
    return Due(ids, None if int(wait) < 0 else int(wait))


def promote(
    keys: QueueKeys, ids: Sequence[str], now: str = "", *, limit: int = BATCH, skip: int = 0
) -> Call[Moved]:
    """Move these jobs, each only if it is due; repeatable, a second run finds them moved.

    Args:
        keys: of the queue.
        ids: as they were listed.
        now: ms, or "" for Redis' clock.
        limit: how many to list that are due next.
        skip: how many stuck ones stand before those.
    """
    lanes = (*PRIORITIES, "suspect", "last")
    names = (keys.schedule, keys.meta, *(keys.stream(lane) for lane in lanes))
    args = (now, MAX_CRASHES, limit, skip, *ids)
    return Call(PROMOTE, (*names, *(keys.job(one) for one in ids)), args, _moved)


def _moved(reply: Any) -> Moved:
    answers, after = reply
    return Moved(words(answers), _due(after))


def promote_due(
    keys: QueueKeys, limit: int = BATCH, now: str = "", *, skip: int = 0, ids: Sequence[str] = ()
) -> Flow[Promoted]:
    """One bounded round: list what is due behind the first so many, unless it is known; move it."""
    if not ids:
        listed: Due = yield due(keys, limit, now, skip=skip)
        if not listed.ids:
            return Promoted(0, listed.wait_ms)
        ids = listed.ids
    moved: Moved = yield promote(keys, ids, now, limit=limit, skip=skip)
    count, stuck = moved.answers.count("promoted"), moved.answers.count("corrupt")
    return Promoted(count, moved.after.wait_ms, len(ids), stuck, tuple(moved.after.ids))
