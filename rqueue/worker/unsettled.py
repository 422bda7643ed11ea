"""Endings that could not be written, a key being of a wrong type: kept until it is repaired."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context, copy_context

import msgspec

from rqueue.ids import lengthen
from rqueue.outcome import Bury, Cancel, DeadReason, Outcome, Park
from rqueue.worker.attempt import Attempt, Place
from rqueue.worker.lease import QueueLease
from rqueue.worker.runners import encoded_error
from rqueue.worker.settling import Ran

logger = logging.getLogger("rqueue")

_ANSWERS = frozenset({"recorded", "already", "stale", "lost", "fenced"})
"""What Redis says of an ending that is dealt with, here or elsewhere."""


class Ending(msgspec.Struct, frozen=True):
    """How an attempt ended; the entry stays pending with us until it is written.

    Attributes:
        attempt: what ended.
        ran: what is known of it.
        outcome: what came of it; None = it is not ours any more.
        seconds: what it took.
        context: the context variables of this very job, for what is logged and told of its end.
    """

    attempt: Attempt
    ran: Ran
    outcome: Outcome | None
    seconds: float
    context: Context = msgspec.field(default_factory=copy_context)

    def turned_into(self, verb: str) -> Ending:
        """The same as Redis has recorded it: as ``cancel`` or ``bury``, whatever was sent."""
        return msgspec.structs.replace(self, outcome=_TURNED[verb](self))


def _buried(ending: Ending) -> Bury:
    """It was parked once too often, or its record was gone and nobody knows any more what it is."""
    sent, job = ending.outcome, ending.attempt.delivery
    if isinstance(sent, Park):
        return Bury(reason=sent.reason, error=sent.error, attempted=False)
    text = "its record was gone when its attempt had ended"
    error = encoded_error(job.attempts + 1, "OrphanedJob", text, job.worker)
    return Bury(reason=DeadReason.ORPHAN, error=error)


_TURNED: dict[str, Callable[[Ending], Outcome]] = {
    "cancel": lambda _: Cancel(),
    "bury": _buried,
}
TURNED = frozenset(_TURNED)
"""What Redis answers when it has recorded another ending than was sent."""


class Unsettled:
    """The endings of one worker that wait for a repair.

    Attributes:
        endings: by the places of their entries, the oldest first.
    """

    def __init__(self) -> None:
        self.endings: dict[Place, Ending] = {}

    def all(self) -> list[Ending]:
        """Every one, the oldest first."""
        return list(self.endings.values())

    def count(self, lease: QueueLease) -> int:
        """How many there are under a lease."""
        return sum(one.attempt.lease is lease for one in self.endings.values())

    def is_news(self, status: str, one: Ending) -> bool:
        """Keep an ending that could not be written; False when that is known already.

        Args:
            status: what Redis said of it.
            one: the ending.
        """
        place = one.attempt.place
        was_known = place in self.endings
        if status in _ANSWERS:
            self.endings.pop(place, None)
        elif was_known:
            return False
        else:
            self.endings[place] = one
        if status not in ("recorded", "already"):
            level = logging.WARNING if status in _ANSWERS else logging.ERROR
            ending = one.outcome.verb if one.outcome is not None else ""
            job = one.attempt.delivery
            told = (job.queue, lengthen(job.job_id), ending, status)
            logger.log(level, "not recorded queue=%s job=%s ending=%s: %s", *told)
        return True
