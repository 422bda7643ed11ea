"""Leases: who is alive, who is fenced, and what a dead worker left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rqueue.config import MAX_CRASHES
from rqueue.job import Delivery
from rqueue.store.call import Arg, Call, Flow
from rqueue.store.calls.entries import read, unique_of
from rqueue.store.calls.jobs import ENDED_KEEP_MS
from rqueue.store.keys import GROUP, LANES, QueueKeys
from rqueue.store.replies import mapping, number, scores, texts, word, words
from rqueue.store.scripts import FENCE, REAP, REGISTER, RENEW, RETIRE

_BATCH = 100


class Renewed(msgspec.Struct, frozen=True):
    """Whether a lease stands, and which jobs (short ids) the worker must stop."""

    is_live: bool
    cancels: list[str]


class Abandoned(msgspec.Struct, frozen=True):
    """A consumer without a lease: its name, the lane, how many entries it holds."""

    worker: str
    lane: str
    pending: int


def register(keys: QueueKeys, worker: str, counter: int) -> Call[str]:
    """A worker joins. Not repeatable: after a lost answer it joins under a new name."""
    names = (keys.leases, *(keys.stream(lane) for lane in LANES))
    return Call(REGISTER, names, (worker, counter), word, repeatable=False)


def restore(keys: QueueKeys, worker: str) -> Call[str]:
    """Make groups again that were destroyed: "restored", or "fenced" without a lease."""
    names = (keys.leases, *(keys.stream(lane) for lane in LANES))
    return Call(REGISTER, names, (worker, ""), word)


def renew(keys: QueueKeys, worker: str, counter: int) -> Call[Renewed]:
    """A sign of life. Not repeatable: every try needs a larger counter."""
    return Call(RENEW, (keys.leases, keys.cancels), (worker, counter), _renewed, repeatable=False)


def _renewed(reply: Any) -> Renewed:
    status, *cancels = texts(reply)
    return Renewed(status == "live", cancels)


def writable(keys: QueueKeys) -> Call[int]:
    """Changes nothing, and fails where Redis refuses writes: workers cannot renew there either."""
    return Call(("ZREM",), (keys.leases,), ("",), number)


def leases(keys: QueueKeys) -> Call[dict[str, float]]:
    """Every worker with a lease, and where its counter stands."""
    names = (keys.leases,)
    return Call(("ZRANGE",), names, (0, -1, "WITHSCORES"), lambda reply: dict(scores(reply)))


def fence(keys: QueueKeys, worker: str, counter: float | None = None) -> Call[str]:
    """Take a lease away, if it still stands at ``counter`` (None = whatever it is)."""
    seen = "" if counter is None else f"{counter:.0f}"
    return Call(FENCE, (keys.leases,), (worker, seen), word)


def retire(keys: QueueKeys, worker: str) -> list[Call[str]]:
    """Forget a consumer that has no lease and holds nothing, lane by lane."""
    return [Call(RETIRE, (keys.leases, keys.stream(lane)), (worker,), word) for lane in LANES]


def abandoned(keys: QueueKeys) -> Flow[list[Abandoned]]:
    """Every consumer without a lease, whether it holds entries or not."""
    alive, *lanes = yield [leases(keys), *(_consumers(keys, lane) for lane in LANES)]
    return [
        Abandoned(worker, lane, held)
        for lane, consumers in zip(LANES, lanes, strict=True)
        for worker, held in consumers
        if worker not in alive
    ]


def _consumers(keys: QueueKeys, lane: str) -> Call[list[tuple[str, int]]]:
    def parse(reply: Any) -> list[tuple[str, int]]:
        rows = (mapping(row) for row in reply or ())
        return [(texts([row["name"]])[0], int(row["pending"])) for row in rows]

    return Call(("XINFO", "CONSUMERS"), (keys.stream(lane),), (GROUP,), parse).or_absent([])


def reap(keys: QueueKeys, worker: str, lane: str, error: bytes, now: str = "") -> Flow[list[str]]:
    """Move all entries of a dead worker to where others find them; their new places.

    By the hundred, and each once: what cannot be moved must not hide what stands behind it. In two
    steps: what it holds is read first, so that the script that moves it has every key declared, and
    checks everything again.
    """
    answers: list[str] = []
    start = "-"
    while True:
        held = (GROUP, start, "+", _BATCH, worker)
        rows = yield Call(("XPENDING",), (keys.stream(lane),), held, list).or_absent([])
        if not rows:
            return answers
        places = [(lane, texts(row)[0]) for row in rows]
        answers += yield from _reap_some(keys, worker, places, (now, error))
        if len(rows) < _BATCH or "alive" in answers:
            return answers
        start = f"({places[-1][1]}"


def _reap_some(
    keys: QueueKeys, worker: str, places: Sequence[tuple[str, str]], crash: tuple[str, bytes]
) -> Flow[list[str]]:
    lane = places[0][0]
    found: list[Delivery] = yield from read(keys, worker, places)
    uniques = yield from _uniques(keys, found)
    entries = [
        (job.job_id, job.entry_id, job.priority, uniques.get(job.job_id, "")) for job in found
    ]
    # An entry that was deleted by hand stays pending: it has no job, only its place is cleared.
    there = {entry for _, entry, _, _ in entries}
    entries += [(f"{lane}-{entry}", entry, "", "") for _, entry in places if entry not in there]
    answers: list[str] = yield _reap(keys, worker, lane, crash, entries)
    return answers


def _uniques(keys: QueueKeys, found: Sequence[Delivery]) -> Flow[dict[str, str]]:
    """The unique keys by job; a record of a wrong type has none, and must not stop the others."""
    ids = [job.job_id for job in found]
    kinds: list[str] = yield [Call(("TYPE",), (keys.job(one),), (), word) for one in ids]
    sound = [one for one, kind in zip(ids, kinds, strict=True) if kind == "hash"]
    held: list[str] = yield [unique_of(keys, one) for one in sound]
    return dict(zip(sound, held, strict=True))


def _reap(
    keys: QueueKeys,
    worker: str,
    lane: str,
    crash: tuple[str, bytes],
    entries: Sequence[tuple[str, str, str, str]],
) -> Call[Any]:
    names = [
        keys.leases, keys.meta, keys.waiters, keys.cancels, keys.dead,
        keys.stream(lane), keys.stream("suspect"), keys.stream("last"),
    ]  # fmt: skip
    now, error = crash
    args: list[Arg] = [now, worker, lane, MAX_CRASHES, ENDED_KEEP_MS, error]
    for job_id, entry, priority, unique in entries:
        record = keys.job(job_id)
        names += (record, keys.unique_or(unique, record))
        args += (job_id, entry, priority)

    def parse(reply: Any) -> list[str]:
        is_list = isinstance(reply, list)
        return words(reply) if is_list else words([reply] * len(entries))

    return Call(REAP, names, args, parse)
