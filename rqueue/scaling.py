"""How many worker replicas a queue should have: one number, for whatever starts and stops them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import ceil
from typing import Any, cast

import msgspec

from rqueue.config import WorkerConfig, check_range
from rqueue.errors import ConfigError
from rqueue.inspection import workers
from rqueue.names import check_queue
from rqueue.store.call import Flow
from rqueue.store.calls.ages import Ages, ages, due_within
from rqueue.store.calls.leases import leases
from rqueue.store.calls.queues import QueueInfo, look
from rqueue.store.keys import queue_keys

FILL = 0.8
"""Which part of a replica's slots is planned with; the rest is for what comes meanwhile."""
MOST_RAISE = 4.0
"""Times as many replicas as the jobs need slots, at the most, while jobs wait too long: then it is
not slots that are short but processors."""
_MOST_TOGETHER = 100
_MOST_PROCESSES = 1000
LOOK_AHEAD_S = 15.0
"""Jobs count that are due within this time: a replica takes as long to start."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue, or several that the same workers serve, asks for.

    Attributes:
        queue: its name; of several, with commas in between.
        desired: how many replicas there should be; 0 = there is nothing to do.
        ready: jobs that wait for a worker.
        due: jobs whose time comes within ``LOOK_AHEAD_S``.
        running: jobs in workers' hands.
        oldest_age_s: how long the one has been ready that waits longest.
        target_s: how long a job should wait at the most; None = nobody has said.
        slots: how many jobs a replica runs at a time.
        workers: worker processes that are there.
    """

    queue: str
    desired: int
    ready: int
    due: int
    running: int
    oldest_age_s: float
    target_s: float | None
    slots: int
    workers: int


def desired(jobs: int, slots: int, oldest_age_s: float, target_s: float | None) -> int:
    """How many replicas so many jobs need.

    Enough that they fill no more than ``FILL`` of the slots. While the oldest waits for longer than
    its target, as many times more as it is late, up to ``MOST_RAISE``; never more than jobs.

    Args:
        jobs: that are ready, due or running.
        slots: of one replica.
        oldest_age_s: how long the one has waited that waits longest.
        target_s: how long it should at the most; None = it may.
    """
    enough = ceil(jobs / (slots * FILL))
    late = oldest_age_s / target_s if target_s else 0.0
    return min(jobs, ceil(enough * min(max(late, 1.0), MOST_RAISE)))


def demand(namespace: str, queues: Sequence[str], slots: int | None = None) -> Flow[Demand]:
    """What these queues ask for together, if the same workers serve them.

    Args:
        namespace: theirs.
        queues: their names; one that was never written asks for nothing.
        slots: of one replica; None = as the workers say that are there, or the usual number.

    Raises:
        ConfigError: a name or a number is not allowed.
    """
    queues = list(dict.fromkeys(queues))
    if len(queues) > _MOST_TOGETHER:
        message = f"{len(queues)} queues at once; at most {_MOST_TOGETHER} are asked for together"
        raise ConfigError(message)
    keys = [queue_keys(namespace, check_queue(name)) for name in queues]
    if slots is not None:
        check_range(slots, "slots", 1, 1_000_000, whole=True)
    found: list[QueueInfo] = []
    for one in keys:
        info: QueueInfo = yield from look(one)
        found.append(info)
    old: list[Ages] = yield from ages(keys)
    due: list[int] = yield from due_within(keys, LOOK_AHEAD_S)
    cards: Cards = yield from workers(namespace)
    held: list[dict[str, float]] = yield [leases(one) for one in keys]
    cards = working(cards, {name for one in held for name in one})
    states = list(map(Standing, found, old, due))
    return assess(states, slots or slots_of_one(cards, queues))


class Standing(msgspec.Struct, frozen=True):
    """How a queue stands: its numbers, its ages, and how many jobs are due soon."""

    info: QueueInfo
    ages: Ages
    due: int


def assess(queues: Sequence[Standing], slots: int) -> Demand:
    """What these queues ask for together, of replicas with so many slots.

    What is paused is left alone, so nobody need come for it; but what runs there goes on.
    """
    open_ones = [one for one in queues if not one.info.is_paused]
    ready = sum(sum(one.info.ready.values()) for one in open_ones)
    due = sum(one.due for one in open_ones)
    running = sum(one.info.running for one in queues)
    targets = [one.info.target_s for one in open_ones if one.info.target_s is not None]
    oldest = max((one.ages.ready_s for one in open_ones), default=0.0)
    target = min(targets, default=None)
    return Demand(
        queue=",".join(one.info.name for one in queues),
        desired=desired(ready + due + running, slots, oldest, target),
        ready=ready,
        due=due,
        running=running,
        oldest_age_s=oldest,
        target_s=target,
        slots=slots,
        workers=max((one.info.workers for one in queues), default=0),
    )


Cards = Mapping[str, Mapping[str, Any]]
"""What workers have said of themselves; it may be anything."""


def working(cards: Cards, alive: AbstractSet[str]) -> Cards:
    """Those that have a lease and take jobs: what others say of their slots counts for nothing."""
    return {
        name: card
        for name, card in cards.items()
        if name in alive and card.get("state", "working") == "working"
    }


def slots_of_each(cards: Cards, queues: Sequence[str]) -> list[int]:
    """Of every worker process that serves one of these queues."""
    return [slots for slots, _ in _sizes(cards, queues)]


def slots_of_one(cards: Cards, queues: Sequence[str]) -> int:
    """Of the smallest such replica, or as many as is usual where there is none.

    A replica is all processes of a supervisor, which come and go together.
    """
    replicas = [slots * processes for slots, processes in _sizes(cards, queues)]
    return min(replicas, default=WorkerConfig().concurrency)


def _sizes(cards: Cards, queues: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Slots of each such process, and how many processes its replica has."""
    for card in cards.values():
        named, slots = card.get("queues"), card.get("concurrency")
        names = map(str, cast("list[Any]", named)) if isinstance(named, list) else ()
        if not {*queues}.isdisjoint(names) and type(slots) is int and slots > 0:
            told = card.get("processes")
            processes = told if type(told) is int else 1
            yield slots, processes if 0 < processes <= _MOST_PROCESSES else 1


class Hold:
    """Lets a demand fall only after it has been lower for a while.

    It rises at once. So a lull of a minute stops no worker that the next minute needs.

    Args:
        seconds: for which the highest demand counts.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def held(self, queue: str, wanted: int, now: float) -> int:
        """The highest of what was wanted of late.

        Args:
            queue: whose.
            wanted: now.
            now: monotonic seconds.
        """
        if queue not in self._seen:  # anybody may ask for any name
            old = [name for name, one in self._seen.items() if one[-1][0] < now - self._seconds]
            for name in old:
                del self._seen[name]
        seen = self._seen.setdefault(queue, deque())
        while seen and seen[-1][1] <= wanted:
            seen.pop()
        seen.append((now, wanted))
        while seen[0][0] < now - self._seconds:
            seen.popleft()
        return seen[0][1]
