"""Leases: who is alive, who is fenced, and what a dead worker left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from rqueue.config import MAX_CRASHES
from rqueue.job import Delivery
from rqueue.store.call import Arg, Call, Flow
from rqueue.store.calls.entries import read, unique_of
from rqueue.store.calls.jobs import ENDED_KEEP_MS
from rqueue.store.keys import GROUP, LANES, QueueKeys
from rqueue.store.replies import scores, texts, word, words
from rqueue.store.scripts import FENCE, REAP, REGISTER, RENEW, RETIRE

T = TypeVar("T")
_BATCH = 100


class Abandoned(msgspec.Struct, frozen=True):
    """A consumer without a lease: its name, the lane, how many entries it holds."""

    worker: str
    lane: str
    pending: int


class Seen(msgspec.Struct, frozen=True):
    """Who is alive, as a look or a renewal found it.

    Attributes:
        standing: every worker with a lease, and where its counter stands.
        abandoned: consumers without a lease, whether they hold entries or not; None = not asked.
    """

    standing: dict[str, float]
    abandoned: list[Abandoned] | None = None


class Renewed(msgspec.Struct, frozen=True):
    """Whether a lease stands, which jobs (short ids) the worker must stop, and who else is alive.

    Without a lease, nobody is seen.
    """

    is_live: bool
    cancels: list[str]
    seen: Seen


def register(keys: QueueKeys, worker: str, counter: int) -> Call[str]:
    """A worker joins. Not repeatable: after a lost answer it joins under a new name."""
    names = (keys.leases, *(keys.stream(lane) for lane in LANES))
    return Call(REGISTER, names, (worker, counter, keys.wake), word, repeatable=False)


def restore(keys: QueueKeys, worker: str) -> Call[str]:
    """Make groups again that were destroyed: "restored", "standing"; "fenced" without a lease."""
    names = (keys.leases, *(keys.stream(lane) for lane in LANES))
    return Call(REGISTER, names, (worker, "", keys.wake), word)


def renew(keys: QueueKeys, worker: str, counter: int, *, sweep: bool = False) -> Call[Renewed]:
    """A sign of life, and a look. Not repeatable: every try needs a larger counter."""
    parse = _renewed(sweep=sweep)
    return _renew(keys, (worker, counter), parse, sweep=sweep, repeatable=False)


def look(keys: QueueKeys, *, sweep: bool = False) -> Call[Seen]:
    """Who is alive. Changes nothing, and fails where Redis refuses writes, as renewals do.

    Args:
        keys: of the queue.
        sweep: list the consumers without a lease as well.
    """
    parse = _renewed(sweep=sweep)
    return _renew(keys, ("", ""), lambda reply: parse(reply).seen, sweep=sweep, repeatable=True)


def _renew(
    keys: QueueKeys,
    me: tuple[Arg, Arg],
    parse: Callable[[Any], T],
    *,
    sweep: bool,
    repeatable: bool,
) -> Call[T]:
    names = (keys.leases, keys.cancels, *(keys.stream(lane) for lane in LANES))
    return Call(RENEW, names, (*me, "1" if sweep else ""), parse, repeatable=repeatable)


def _renewed(*, sweep: bool) -> Callable[[Any], Renewed]:
    def parse(reply: Any) -> Renewed:
        (status,) = texts(reply[:1])
        if status == "fenced":
            return Renewed(is_live=False, cancels=[], seen=Seen({}))
        _, cancels, standing, left = reply
        seen = Seen(dict(scores(standing)), _abandoned(left) if sweep else None)
        return Renewed(is_live=status == "live", cancels=texts(cancels), seen=seen)

    return parse


def _abandoned(left: Sequence[Any]) -> list[Abandoned]:
    found: list[Abandoned] = []
    for n in range(0, len(left), 3):
        place, held = int(left[n + 1]), int(left[n + 2])
        found.append(Abandoned(texts(left[n : n + 1])[0], LANES[place - 1], held))
    return found


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


def fence_and_reap(keys: QueueKeys, worker: str, error: bytes) -> Flow[list[str]]:
    """Fence a worker that is known to be dead and move what it holds; the new places.

    In one trip, after all has been read: between a fence and a move another reaper could move it,
    who does not know how the worker died. At most a hundred entries of each lane; a sweep finds the
    others.
    """
    calls: list[Call[Any]] = [fence(keys, worker)]
    for lane in LANES:
        places = yield from _held(keys, worker, lane, "-")
        if places:
            calls.append((yield from _moving(keys, worker, places, ("", error))))
    answers: list[Any] = yield calls
    return [place for places in answers[1:] for place in places]


def reap(keys: QueueKeys, worker: str, lane: str, error: bytes, now: str = "") -> Flow[list[str]]:
    """Move all entries of a dead worker to where others find them; their new places.

    By the hundred, and each once: what cannot be moved must not hide what stands behind it. In two
    steps: what it holds is read first, so that the script that moves it has every key declared, and
    checks everything again.
    """
    answers: list[str] = []
    start = "-"
    while True:
        places = yield from _held(keys, worker, lane, start)
        if not places:
            return answers
        move = yield from _moving(keys, worker, places, (now, error))
        moved: list[str] = yield move
        answers += moved
        if len(places) < _BATCH or "alive" in moved:
            return answers
        start = f"({places[-1][1]}"


def _held(keys: QueueKeys, worker: str, lane: str, start: str) -> Flow[list[tuple[str, str]]]:
    """A hundred entries that a consumer holds, from ``start`` on: each with its lane."""
    held = (GROUP, start, "+", _BATCH, worker)
    rows = yield Call(("XPENDING",), (keys.stream(lane),), held, list).or_absent([])
    return [(lane, texts(row)[0]) for row in rows]


def _moving(
    keys: QueueKeys, worker: str, places: Sequence[tuple[str, str]], crash: tuple[str, bytes]
) -> Flow[Call[list[str]]]:
    """What moves these entries of one lane, once their jobs have been read."""
    lane = places[0][0]
    found: list[Delivery] = yield from read(keys, worker, places)
    uniques = yield from _uniques(keys, found)
    entries = [
        (job.job_id, job.entry_id, job.priority, uniques.get(job.job_id, "")) for job in found
    ]
    # An entry that was deleted by hand stays pending: it has no job, only its place is cleared.
    there = {entry for _, entry, _, _ in entries}
    entries += [(f"{lane}-{entry}", entry, "", "") for _, entry in places if entry not in there]
    return _reap(keys, worker, lane, crash, entries)


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
) -> Call[list[str]]:
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
