"""A job in a worker's hands: fetch, mark, finish, and what is pending."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from rqueue.job import Delivery
from rqueue.store.call import Arg, Call, Flow
from rqueue.store.calls.jobs import ENDED_KEEP_MS
from rqueue.store.keys import GROUP, LANES, Field, QueueKeys
from rqueue.store.replies import delivery, texts, word, words
from rqueue.store.scripts import FETCH, FINISH, MARK, PENDING


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch brought; the deliveries are ours whatever the status."""

    status: str
    deliveries: list[Delivery]


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One ending as the finish script takes it.

    Attributes:
        delivery: what was run.
        verb: complete, bury, cancel, expire, retry, snooze, park or release.
        ms: how long the record is kept, or how long the job waits.
        detail: the reason of bury and cancel; how often to park, and after a space the reason of
            its death then, if it is not ``unknown_task``.
        unique: the unique key the job may hold.
        fields: what else the record shall hold: field, value, ...
        size: bytes of the result or the error among them.
    """

    delivery: Delivery
    verb: str
    ms: int = 0
    detail: str = ""
    unique: str = ""
    fields: tuple[Arg, ...] = ()
    size: int = 0


def fetch(
    keys: QueueKeys, worker: str, count: int, lanes: Sequence[tuple[str, int]]
) -> Call[Fetched]:
    """Up to ``count`` entries from these lanes, in this order, each with its own limit.

    Not repeatable: an answer that was lost has left entries pending with this worker, which
    ``pending`` finds.
    """
    names = (keys.leases, keys.meta, *(keys.stream(lane) for lane, _ in lanes))
    args = (worker, count, *(most for _, most in lanes))

    def parse(reply: Any) -> Fetched:
        found: list[Delivery] = []
        for place, entries in cast("list[tuple[int, Any]]", reply[1:]):
            found += _deliveries(keys.queue, lanes[place - 1][0], worker, entries)
        return Fetched(texts(reply[:1])[0], found)

    return Call(FETCH, names, args, parse, repeatable=False)


def _deliveries(queue: str, lane: str, worker: str, entries: Any) -> list[Delivery]:
    made = [delivery(queue, lane, worker, entry) for entry in entries]
    return [one for one in made if one is not None]


def finish(
    keys: QueueKeys, worker: str, settlements: Sequence[Settlement], now: str = ""
) -> Call[list[str] | str]:
    """Settle several jobs in one trip; "fenced" when the worker has no lease.

    Repeatable: an ending that stands already is answered ``already``.
    """
    names = [*keys.of_finish]
    args: list[Arg] = [now, worker, keys.wake, ENDED_KEEP_MS, len(keys.jobs)]
    group: tuple[Any, ...] = ()
    count = place = 0
    for one in settlements:
        job, unique, fields = one.delivery, one.unique, one.fields
        names.append(keys.jobs + job.job_id)
        if unique:
            names.append(keys.unique(unique))
        own = (job.lane, one.verb, one.ms, one.detail, job.priority, bool(unique), fields[::2])
        if own != group:
            group, count = own, 0
            args += (*own[:5], int(own[5]), len(own[6]), *own[6], 0)
            place = len(args) - 1
        args[place] = count = count + 1
        args += (job.entry_id, *fields[1::2])
    return Call(FINISH, names, args, _finished)


def _finished(reply: Any) -> list[str] | str:
    if not isinstance(reply, list):
        return word(reply)
    said = cast("list[bytes]", reply)
    return ["recorded"] * len(said) if said == [b"recorded"] * len(said) else words(said)


def with_uniques(keys: QueueKeys, settlements: Sequence[Settlement]) -> Flow[list[Settlement]]:
    """The same settlements, each with the unique key that its record holds.

    For jobs whose envelope does not tell it, because it cannot be read.
    """
    held = yield [unique_of(keys, one.delivery.job_id) for one in settlements]
    return [
        msgspec.structs.replace(one, unique=unique)
        for one, unique in zip(settlements, held, strict=True)
    ]


def unique_of(keys: QueueKeys, job_id: str) -> Call[str]:
    """The unique key that a record holds, or ""."""
    return Call(
        ("HGET",), (keys.job(job_id),), (Field.UNIQUE,), lambda reply: texts([reply or b""])[0]
    )


def mark(keys: QueueKeys, worker: str, job: Delivery) -> Call[str]:
    """Note in the record that an entry of the lane ``last`` is about to run."""
    return Call(MARK, (keys.leases, keys.job(job.job_id)), (worker, job.entry_id), word)


def pending(keys: QueueKeys, worker: str, limit: int = 1000) -> Call[list[tuple[str, str]]]:
    """(lane, entry id) of everything this worker has read and not settled."""

    def parse(reply: Any) -> list[tuple[str, str]]:
        lanes = zip(LANES, reply, strict=True)
        return [(lane, entry) for lane, entries in lanes for entry in texts(entries)]

    return Call(PENDING, [keys.stream(lane) for lane in LANES], (worker, limit), parse)


def read(keys: QueueKeys, worker: str, places: Sequence[tuple[str, str]]) -> Flow[list[Delivery]]:
    """The deliveries at these (lane, entry id) places; deleted ones are left out."""
    if not places:
        return []
    answers = yield [
        Call(("XRANGE",), (keys.stream(lane),), (entry, entry), list) for lane, entry in places
    ]
    found: list[Delivery] = []
    for (lane, _), entries in zip(places, answers, strict=True):
        found += _deliveries(keys.queue, lane, worker, entries)
    return found


def blocking_words(streams: Sequence[tuple[QueueKeys, str, str]], block_ms: int) -> list[Any]:
    """The blocking read over several (keys, lane, worker); all must share one worker name.

    ``COUNT`` is per stream, so one read may return an entry of each.
    """
    names = [keys.stream(lane) for keys, lane, _ in streams]
    worker = streams[0][2]
    return [
        "XREADGROUP", "GROUP", GROUP, worker, "COUNT", 1, "BLOCK", block_ms,
        "STREAMS", *names, *(">" for _ in names),
    ]  # fmt: skip


def blocking_reply(streams: Sequence[tuple[QueueKeys, str, str]], reply: Any) -> list[Delivery]:
    """The deliveries in the answer of a blocking read."""
    places = {keys.stream(lane): (keys.queue, lane, worker) for keys, lane, worker in streams}
    found: list[Delivery] = []
    for stream, entries in reply or ():
        found += _deliveries(*places[texts([stream])[0]], entries)
    return found
