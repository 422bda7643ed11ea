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


class Due(msgspec.Struct, frozen=True):
    """Ids that are due, and ms until the next one that is not listed (None = none waits)."""

    ids: list[str]
    wait_ms: int | None


class Promoted(msgspec.Struct, frozen=True):
    """What a round came to.

    Attributes:
        count: jobs that were moved.
        wait_ms: ms until the next job behind those listed; None = none waits.
        listed: jobs that were due.
        stuck: those of them that cannot go: their record is of a wrong type, or their stream is, or
            it takes no more entries. They stay at the head of the schedule.
    """

    count: int
    wait_ms: int | None
    listed: int = 0
    stuck: int = 0


def due(keys: QueueKeys, limit: int = 100, now: str = "", *, skip: int = 0) -> Call[Due]:
    """Which jobs are due, behind the first so many."""
    return Call(DUE, (keys.schedule,), (now, limit, skip), _due)


def _due(reply: Any) -> Due:
    wait, *ids = texts(reply)
    return Due(ids, None if int(wait) < 0 else int(wait))


def promote(keys: QueueKeys, ids: Sequence[str], now: str = "") -> Call[list[str]]:
    """Move these jobs, each only if it is due; repeatable, a second run finds them moved."""
    lanes = (*PRIORITIES, "suspect", "last")
    names = (keys.schedule, keys.meta, *(keys.stream(lane) for lane in lanes))
    return Call(PROMOTE, (*names, *(keys.job(one) for one in ids)), (now, MAX_CRASHES, *ids), words)


def promote_due(
    keys: QueueKeys, limit: int = 100, now: str = "", *, skip: int = 0
) -> Flow[Promoted]:
    """One bounded round: list what is due behind the first so many, move it."""
    listed: Due = yield due(keys, limit, now, skip=skip)
    if not listed.ids:
        return Promoted(0, listed.wait_ms)
    answers: list[str] = yield promote(keys, listed.ids, now)
    moved, stuck = answers.count("promoted"), answers.count("corrupt")
    return Promoted(moved, listed.wait_ms, len(listed.ids), stuck)
