"""The schedule: what is due, and moving it to its stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rqueue.config import MAX_CRASHES
from rqueue.names import PRIORITIES
from rqueue.store.call import Call, Flow
from rqueue.store.keys import QueueKeys
from rqueue.store.replies import texts, words
from rqueue.store.scripts import DUE, PROMOTE

BATCH = 250
"""Jobs of one call: some 4 ms of the server's time."""


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
