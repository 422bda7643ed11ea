"""What each family of keys takes, from samples that a busy server does not feel."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from rqueue.job import JobState
from rqueue.store.call import Flow
from rqueue.store.calls import keyspace
from rqueue.store.calls.keyspace import Weighed
from rqueue.store.keys import (
    LANES,
    QueueKeys,
    queue_keys,
    queues_registry,
    schedules_registry,
    workers_registry,
)

PAGE = 250
"""Keys that the server lists in one go."""
MOST_KEYS = 20_000
"""Keys that are listed in one look."""
MOST_WEIGHED = 2_000
"""Keys that are weighed in one look, beside the few of each queue that are always there."""
LONGEST_S = 1.0
"""After so long a look lists no more."""
_AT_ONCE = 25
"""Keys of one kind that are weighed in one trip."""
_ENDED = {JobState.SUCCEEDED, JobState.CANCELLED, JobState.EXPIRED}
_KINDS = {
    "job": "jobs", "unique": "unique", "plan": "schedules", "ran": "schedules",
    "minute": "history", "hour": "history", "asked": "registries", "told": "registries",
}  # fmt: skip
_OTHERS = "others"
_Kind = tuple[str, str]
"""Of which queue keys are, if of any, and what they hold."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of one kind.

    Attributes:
        name: ``stream:<lane>``, ``scheduled``, ``dead``, ``leases``, ``queue`` (settings, counters,
            who waits), ``jobs:unfinished``, ``jobs:ended`` (results, and ids that are remembered),
            ``jobs:dead``, ``unique``, ``schedules``, ``history``, ``registries``, ``others`` (keys
            outside of the namespace), ``strange`` (within, but none of ours).
        keys: how many.
        bytes: what they take.
        is_exact: they were all weighed; else it is worked out from a sample.
    """

    name: str
    keys: int
    bytes: int
    is_exact: bool


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What the keys of a database take.

    Attributes:
        families: the largest first.
        listed: keys that were seen.
        total: keys that there are.
        lasting: records of ended jobs, among those weighed, that do not expire.
        refused: the command that this user may not run; "" = none.
        queues: bytes of all keys of each queue, of those asked for.
    """

    families: Sequence[Family]
    queues: Mapping[str, int] = {}
    listed: int = 0
    total: int = 0
    lasting: int = 0
    refused: str = ""

    def of(self, name: str) -> Family:
        """One family, empty if there are no keys of it."""
        empty = Family(name=name, keys=0, bytes=0, is_exact=True)
        return next((one for one in self.families if one.name == name), empty)


def budget(
    namespace: str,
    queues: Sequence[QueueKeys],
    total: int,
    is_late: Callable[[], bool],
    *,
    is_plain: bool = False,
) -> Flow[Budget]:
    """Weigh what there is.

    Args:
        namespace: ours.
        queues: those whose keys are weighed one by one.
        total: keys of the database.
        is_late: whether to list no more.
        is_plain: weigh no key outside of the namespace, and read no record's state: what not every
            user may do, and Redis writes down each try.
    """
    fixed: list[_Part] | None = yield from _fixed(namespace, queues)
    if fixed is None:
        return Budget(families=(), total=total, refused="MEMORY USAGE")
    known = {key for _, _, key in _fixed_keys(namespace, queues)}
    sample = _Sample(namespace, known, is_plain=is_plain)
    refused = yield from sample.take(is_late)
    parts = [one for one in (*fixed, *sample.parts(total)) if one.family.keys]
    merged = _merged([one.family for one in parts])
    sizes = dict.fromkeys((keys.queue for keys in queues), 0)
    for queue, family in parts:
        if queue in sizes:
            sizes[queue] += family.bytes
    return Budget(
        families=sorted(merged, key=lambda one: (-one.bytes, one.name)),
        queues=sizes,
        listed=sample.listed,
        total=total,
        lasting=sample.lasting,
        refused=refused,
    )


class _Part(NamedTuple):
    """What of a family belongs to one queue, or to none."""

    queue: str
    family: Family


def _fixed_keys(namespace: str, queues: Sequence[QueueKeys]) -> list[tuple[str, str, str]]:
    """The keys that are there whatever the jobs: of which queue, of which family, the key."""
    found = [
        ("", "registries", queues_registry(namespace)),
        ("", "registries", workers_registry(namespace)),
        ("", "registries", schedules_registry(namespace)),
    ]
    for keys in queues:
        of_one = [(f"stream:{lane}", keys.stream(lane)) for lane in LANES]
        of_one += [
            ("scheduled", keys.schedule), ("dead", keys.dead), ("leases", keys.leases),
            ("queue", keys.meta), ("queue", keys.waiters), ("queue", keys.cancels),
            ("schedules", keys.cron), ("schedules", keys.releases),
            ("history", keys.failures), ("history", keys.booked),
        ]  # fmt: skip
        found += [(keys.queue, name, key) for name, key in of_one]
    return found


_FIXED = {
    key.rpartition("}:")[2]: name
    for queue, name, key in _fixed_keys("n", [queue_keys("n", "q")])
    if queue
}


def _fixed(namespace: str, queues: Sequence[QueueKeys]) -> Flow[list[_Part] | None]:
    listed, found = _fixed_keys(namespace, queues), list[_Part]()
    for start in range(0, len(listed), PAGE):
        part = listed[start : start + PAGE]
        weights: list[Weighed] | None = yield from keyspace.weigh([key for _, _, key in part])
        if weights is None:
            return None
        found += [
            _Part(queue, Family(name=name, keys=1, bytes=one.size, is_exact=True))
            for (queue, name, _), one in zip(part, weights, strict=True)
            if one.size
        ]
    return found


class _Sample:
    """The keys that come and go with jobs, as far as they were seen."""

    def __init__(self, namespace: str, known: set[str], *, is_plain: bool) -> None:
        self._parts_of = re.compile(
            rf"{re.escape(namespace)}:(?:\{{([^{{}}]+)\}}:(.*)|.*)", re.DOTALL
        )
        self._known = {key.encode() for key in known}
        self._is_plain = is_plain
        self._refused: set[_Kind] = set()
        self._seen: dict[_Kind, int] = defaultdict(int)
        self._weighed: dict[_Kind, list[Weighed]] = defaultdict(list)
        self.listed = 0
        self.is_whole = False

    @property
    def lasting(self) -> int:
        """Records of ended jobs that do not expire."""
        jobs = (one for (_, kind), some in self._weighed.items() if kind == "jobs" for one in some)
        return sum(one.lasts and one.state in _ENDED for one in jobs)

    def take(self, is_late: Callable[[], bool]) -> Flow[str]:
        """List and weigh until it is enough; the command that was refused, or ""."""
        cursor = b"0"
        while True:
            found: tuple[bytes, list[bytes]] | None = yield keyspace.page(cursor, PAGE)
            if found is None:
                return "SCAN"
            cursor, keys = found
            yield from self._add(keys)
            self.is_whole = cursor == b"0"
            if self.is_whole or self.listed >= MOST_KEYS or is_late():
                return ""

    def parts(self, total: int) -> list[_Part]:
        """What was seen, times a factor for what was not; total: keys of the database, 0 = unknown.

        One who may not ask how many keys there are sees no more than was listed.
        """
        factor = 1.0 if self.is_whole or not self.listed else max(1.0, total / self.listed)
        found: list[_Part] = []
        for (queue, kind), seen in self._seen.items():
            weights = self._weighed[queue, kind]
            sizes: dict[str, list[int]] = defaultdict(list)
            for one in weights:
                sizes[_family(kind, one.state)].append(one.size)
            each = seen * factor / len(weights) if weights else 0.0
            is_exact = self.is_whole and len(weights) == seen
            for name, some in sizes.items():
                keys, size = round(len(some) * each), round(sum(some) * each)
                family = Family(name=name, keys=keys, bytes=size, is_exact=is_exact)
                found.append(_Part(queue, family))
        return found

    def _add(self, keys: Sequence[bytes]) -> Flow[None]:
        self.listed += len(keys)
        kinds: dict[_Kind, list[bytes]] = defaultdict(list)
        for key in keys:
            if key not in self._known:
                kinds[self._kind(key)].append(key)
        if self._is_plain:
            kinds.pop(("", _OTHERS), None)
        for kind, some in kinds.items():
            self._seen[kind] += len(some)
            # A few of each kind, however late it comes: without one its size is unknown.
            weighed = sum(map(len, self._weighed.values()))
            left = max(0, MOST_WEIGHED - weighed, _AT_ONCE - len(self._weighed[kind]))
            if kind in self._refused:
                continue
            # Of a large database a few keys of each page, of a small one all.
            few = some[: min(left, PAGE if self.listed <= MOST_WEIGHED else _AT_ONCE)]
            is_record = kind[1] == "jobs" and not self._is_plain
            weigh = keyspace.weigh_records if is_record else keyspace.weigh
            weights: list[Weighed] | None = yield from weigh(few)
            if weights is None:  # each try more would be one more line in ACL LOG
                self._refused.add(kind)
            self._weighed[kind] += [one for one in weights or () if one.size]

    def _kind(self, key: bytes) -> _Kind:
        found = self._parts_of.fullmatch(key.decode("utf-8", "replace"))
        if found is None:
            return "", _OTHERS
        queue, rest = found[1] or "", found[2] or ""
        # What is there whatever the jobs is weighed one by one, but for queues beyond those told.
        head, colon, _ = rest.partition(":")
        kind = _KINDS.get(head, "") if colon else ""
        kind = kind or _FIXED.get(rest, "")
        return (queue, kind) if kind else ("", "strange")


def _family(kind: str, state: str) -> str:
    if kind != "jobs":
        return kind
    if state == JobState.DEAD:
        return "jobs:dead"
    return "jobs:ended" if state in _ENDED else "jobs:unfinished"


def _merged(families: Sequence[Family]) -> list[Family]:
    """One of each name."""
    by_name: dict[str, Family] = {}
    for one in families:
        had = by_name.get(one.name)
        by_name[one.name] = one if had is None else Family(
            name=one.name,
            keys=had.keys + one.keys,
            bytes=had.bytes + one.bytes,
            is_exact=had.is_exact and one.is_exact,
        )  # fmt: skip
    return list(by_name.values())


def growth(first: Budget, second: Budget, seconds: float) -> Mapping[str, int]:
    """Bytes a minute by which each family grew between two looks."""
    names = dict.fromkeys(one.name for one in (*second.families, *first.families))
    return {
        name: round((second.of(name).bytes - first.of(name).bytes) * 60 / seconds) for name in names
    }
