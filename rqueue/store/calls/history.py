"""The history of a queue: counts by task and period, and the latest failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rqueue.errors import CorruptKey
from rqueue.history import HOUR_MS, MINUTE_MS, MOST_FAILURES, Counts, Period, read
from rqueue.store.call import Call, Flow
from rqueue.store.keys import QueueKeys
from rqueue.store.replies import mapping, number, texts
from rqueue.store.scripts import BOOK

_TRIES = 3


class Booking(msgspec.Struct, frozen=True):
    """What a worker has counted of a queue since its last one.

    Attributes:
        book: names the worker's bookings.
        number: of this one, from 1; it never changes its content.
        counts: by task, as ``rqueue.history.write`` writes them.
        failures: the last one last.
    """

    book: str
    number: int
    counts: Sequence[tuple[str, str]]
    failures: Sequence[bytes] = ()


def book(keys: QueueKeys, booking: Booking, at_ms: int, now: str = "") -> Flow[str]:
    """``booked``, ``already``, or ``elsewhen`` where Redis' clock does not stand still long enough.

    Args:
        keys: of the queue.
        booking: what is added.
        at_ms: about what Redis' clock shows; it is put right at the cost of a trip.
        now: for tests.

    The flow raises ``CorruptKey`` where a key is of a wrong type; nothing was added then.
    """
    for _ in range(_TRIES):
        said = yield _book(keys, booking, at_ms // MINUTE_MS, now)
        if said[0] != "elsewhen":
            return said[0]
        at_ms = int(said[1])
    return "elsewhen"


def _book(keys: QueueKeys, booking: Booking, minute: int, now: str) -> Call[list[str]]:
    hour = minute * MINUTE_MS // HOUR_MS
    places = (keys.booked, keys.minute(minute), keys.hour(hour), keys.failures)
    told = [word for pair in booking.counts for word in pair]
    head = (now, minute, booking.book, booking.number, len(booking.counts))
    return Call(BOOK, places, (*head, *told, *booking.failures), _said)


def _said(reply: Any) -> list[str]:
    said = texts(reply)
    if said[0] == "corrupt":
        raise CorruptKey("a key of this queue's history")
    return said


def counts(
    keys: QueueKeys, periods: Sequence[Period], task: str | None
) -> Flow[list[dict[str, Counts]]]:
    """What was counted in each of these periods, by task: of one, or of all."""
    return (yield [_counted(_place(keys, period), task) for period in periods])


def failures(keys: QueueKeys) -> Call[list[bytes]]:
    """The latest, the last booked first."""
    return Call(("LRANGE",), (keys.failures,), (0, MOST_FAILURES - 1), list[bytes]).or_absent([])


def bookings(keys: QueueKeys) -> Call[int]:
    """How many workers have added to the history within a day, or a little more."""
    return Call(("HLEN",), (keys.booked,), (), number).or_absent(0)


def _place(keys: QueueKeys, period: Period) -> str:
    if period.ms == HOUR_MS:
        return keys.hour(period.at_ms // HOUR_MS)
    return keys.minute(period.at_ms // MINUTE_MS)


def _counted(place: str, task: str | None) -> Call[dict[str, Counts]]:
    if task is None:
        return Call(("HGETALL",), (place,), (), _all).or_absent([])
    return Call(
        ("HGET",), (place,), (task,), lambda reply: {task: read(reply)} if reply else {}
    ).or_absent(b"")


def _all(reply: Any) -> dict[str, Counts]:
    return {task: read(told) for task, told in mapping(reply).items()}
