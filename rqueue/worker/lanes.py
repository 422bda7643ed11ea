"""Which lanes a fetch reads, in which order, and how much of each."""

from __future__ import annotations

import random
from collections.abc import Sequence

from rqueue.config import QueueShare
from rqueue.names import PRIORITIES
from rqueue.store.keys import INTERNAL_LANES


def lanes_of_turn(turn: int, fairness: int) -> tuple[str, ...]:
    """Every lane in the order of this fetch.

    What was given back and what survived a crash comes first. Then the priorities, strictly; but
    one fetch in ``fairness`` looks from the bottom up, so that ``low`` is never starved.
    """
    from_below = fairness > 0 and turn % fairness == fairness - 1
    priorities = PRIORITIES[::-1] if from_below else PRIORITIES
    return (*INTERNAL_LANES, *priorities)


def limits(lanes: Sequence[str], free: int, suspects: int) -> list[tuple[str, int]]:
    """How many entries each lane may give; lanes that may give none are left out.

    Args:
        lanes: in order.
        free: free slots.
        suspects: suspects that may still be started.

    Of ``last`` it is one at a time, because it runs alone.
    """
    special = {"suspect": min(free, suspects), "last": min(free, 1)}
    counted = ((lane, special.get(lane, free)) for lane in lanes)
    return [(lane, count) for lane, count in counted if count > 0]


def order_of_queues(shares: Sequence[QueueShare], *, weighted: bool) -> list[str]:
    """The queues in the order of this fetch: as given, or drawn by weight without repetition.

    A queue's chance to be first is its share of the weights (Efraimidis and Spirakis, 2006).
    """
    if not weighted:
        return [share.name for share in shares]
    drawn = sorted(shares, key=lambda share: random.random() ** (1 / share.weight), reverse=True)
    return [share.name for share in drawn]
