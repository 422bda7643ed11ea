"""How old the oldest work of queues is, and how the server fares."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec

from rqueue.store.call import Call, Flow
from rqueue.store.calls.cron import time_ms
from rqueue.store.keys import GROUP, LANES, QueueKeys
from rqueue.store.replies import mapping, number, scores, texts

_START = "0-0"


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest of each kind, by Redis' clock.

    Attributes:
        ready_s: for how long the job that waits longest for a worker is ready; 0 = none waits.
        running_s: how long ago the oldest of the jobs in workers' hands became ready; 0 = there is
            none.
        overdue_s: how late the job is that should have been promoted first; 0 = none is.
    """

    ready_s: float
    running_s: float
    overdue_s: float


def ages(queues: Sequence[QueueKeys]) -> Flow[list[Ages]]:
    """The ages of each queue, in two trips."""
    if not queues:
        return []
    first = [call for keys in queues for call in _first_look(keys)]
    now_ms, *found = yield [time_ms(), *first]
    width = len(found) // len(queues)
    looks = [found[n : n + width] for n in range(0, len(found), width)]
    waiting: list[Any] = yield [
        call for keys, look in zip(queues, looks, strict=True) for call in _second_look(keys, look)
    ]
    told: list[Ages] = []
    for place, (*_, due) in enumerate(looks):
        oldest = [_ms(one) for one in waiting[place * len(LANES) : (place + 1) * len(LANES)]]
        running = [_ms(one) for one in looks[place][len(LANES) : 2 * len(LANES)]]
        told.append(
            Ages(
                ready_s=_age(now_ms, oldest),
                running_s=_age(now_ms, running),
                overdue_s=_age(now_ms, [int(score) for _, score in due if isfinite(score)]),
            )
        )
    return told


def due_within(queues: Sequence[QueueKeys], seconds: float) -> Flow[list[int]]:
    """How many jobs of each queue are due by then, or already, and not promoted yet."""
    now_ms = yield time_ms()
    until = round(now_ms + seconds * 1000)
    return (
        yield [
            Call(("ZCOUNT",), (keys.schedule,), ("-inf", until), number).or_absent(0)
            for keys in queues
        ]
    )


def _first_look(keys: QueueKeys) -> list[Call[Any]]:
    return [
        *(
            Call(("XINFO", "GROUPS"), (keys.stream(lane),), (), _delivered).or_absent([])
            for lane in LANES
        ),
        *(
            Call(("XPENDING",), (keys.stream(lane),), (GROUP,), _oldest_pending).or_absent([])
            for lane in LANES
        ),
        Call(("ZRANGE",), (keys.schedule,), (0, 0, "WITHSCORES"), scores).or_absent([]),
    ]


def _second_look(keys: QueueKeys, look: Sequence[Any]) -> list[Call[str]]:
    """The first entry of each lane that nobody was given."""
    return [
        Call(
            ("XRANGE",), (keys.stream(lane),), (f"({last}", "+", "COUNT", 1), _first_entry
        ).or_absent([])
        for lane, last in zip(LANES, look, strict=False)
    ]


def _delivered(reply: Any) -> str:
    """The last entry that our group was given."""
    for group in reply:
        told = mapping(group)
        if told.get("name") == GROUP.encode():
            return told["last-delivered-id"].decode()
    return _START


def _oldest_pending(reply: Any) -> str:
    return texts([reply[1]])[0] if reply and reply[1] else ""


def _first_entry(reply: Any) -> str:
    return texts([reply[0][0]])[0] if reply else ""


def _ms(entry: str) -> int:
    """When an entry was written; 0 = there is none."""
    return int(entry.partition("-")[0]) if entry else 0


def _age(now_ms: int, moments: Sequence[int]) -> float:
    """Seconds since the earliest of these that is past; 0 = there is none."""
    past = [one for one in moments if 0 < one < now_ms]
    return (now_ms - min(past)) / 1000 if past else 0.0


class ServerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How a server fares.

    Attributes:
        version: of the server.
        role: ``master``, ``slave`` or "".
        policy: ``maxmemory-policy``.
        used_bytes: memory in use.
        max_bytes: ``maxmemory``; 0 = no bound.
        evicted: keys that were evicted since it started.
    """

    version: str
    role: str
    policy: str
    used_bytes: int
    max_bytes: int
    evicted: int


def server_load() -> Flow[ServerLoad]:
    """What ``INFO`` says of it; what the user may not ask for is empty."""
    told: dict[str, str] = {}
    for section in ("server", "replication", "memory", "stats"):
        lines: bytes = yield Call(("INFO", section), (), (), _bytes).or_refused(b"")
        pairs = (line.partition(":") for line in lines.decode("utf-8", "replace").splitlines())
        told |= {name: value for name, colon, value in pairs if colon}
    return ServerLoad(
        version=told.get("valkey_version") or told.get("redis_version", ""),
        role=told.get("role", ""),
        policy=told.get("maxmemory_policy", ""),
        used_bytes=int(told.get("used_memory", 0)),
        max_bytes=int(told.get("maxmemory", 0)),
        evicted=int(told.get("evicted_keys", 0)),
    )


def _bytes(reply: Any) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).encode()
