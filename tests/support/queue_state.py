"""One queue as one value: all of it is compared before and after, not one field at a time.

The clock of the tests stands at ``NOW``, so times are exact. ``QueueState.relative`` leaves out
what is not: an entry id becomes ``here`` (the entry stands in its lane) or ``gone``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from redis import Redis

from rqueue.clock import now_ms
from rqueue.store.keys import GROUP, USUAL_LANE, Field, QueueKeys
from rqueue.store.pieces import FIELDS as PIECES
from rqueue.store.pieces import call_of

T = TypeVar("T")
NOW = 1_700_000_000_000
DAY = 86_400_000
_RECENT_MS = 3_600_000
DIGEST = "12345678"
ENDED = 3600
"""Seconds a cancelled record is kept."""

_NAMES = {letter: name.lower() for name, letter in vars(Field).items() if name.isupper()}
_NAMES |= {"i": "id"}
_KINDS = {
    "job": "hash",
    "stream": "stream",
    "unique": "string",
    "schedule": "zset",
    "dead": "zset",
    "leases": "zset",
    "meta": "hash",
    "waiters": "hash",
    "cancels": "hash",
    "cron": "zset",
    "plan": "hash",
    "ran": "list",
    "releases": "hash",
    "minute": "hash",
    "hour": "hash",
    "failures": "list",
    "booked": "hash",
}
_HISTORY = ("minute", "hour", "failures", "booked")
_QUESTIONS = {
    "string": [Redis.get],
    "hash": [Redis.hgetall, Redis.pttl],
    "zset": [lambda pipe, key: pipe.zrange(key, 0, -1, withscores=True)],
    "stream": [
        Redis.xrange,
        lambda pipe, key: pipe.xpending_range(key, GROUP, "-", "+", 10_000),
        lambda pipe, key: pipe.xinfo_consumers(key, GROUP),
    ],
    "list": [lambda pipe, key: pipe.lrange(key, 0, -1)],
    "strange": [Redis.dump],
}


@dataclass(frozen=True)
class Entry:
    """A stream entry; ``owner`` has read it and not settled it. No fields = deleted meanwhile."""

    fields: dict[str, str]
    owner: str = ""
    id: str = ""

    def relative(self) -> Entry:
        """Without what the clock of the server dates."""
        fields = {name: told for name, told in self.fields.items() if name != "ready"}
        return Entry(fields, self.owner)


@dataclass(frozen=True)
class QueueState:
    """Everything under a queue's prefix.

    Records and entries have the field names of ``Field``; a record that expires has ``ttl``, in
    seconds. ``groups`` are the consumers of each lane, ``strange`` the keys of a wrong type. What
    workers keep of the past, ``history``, is compared only where that is meant: by key.
    """

    records: dict[str, dict[str, str]] = field(default_factory=dict)
    lanes: dict[str, list[Entry]] = field(default_factory=dict)
    schedule: dict[str, int] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    waiters: dict[str, str] = field(default_factory=dict)
    cancels: dict[str, str] = field(default_factory=dict)
    unique: dict[str, str] = field(default_factory=dict)
    cron: dict[str, float] = field(default_factory=dict)
    plans: dict[str, dict[str, str]] = field(default_factory=dict)
    ran: dict[str, list[str]] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    strange: dict[str, str] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict, compare=False)

    def relative(self) -> QueueState:
        """This state without entry ids and consumers, to be compared with one written down.

        The tests' clock dates no entry, nor so what was created by the id of one: see
        ``test_created.py``.
        """
        lanes = {lane: [entry.relative() for entry in found] for lane, found in self.lanes.items()}
        records = {job_id: self._located(job_id, told) for job_id, told in self.records.items()}
        return replace(self, lanes=lanes, records=records, groups={})

    def _located(self, job_id: str, told: dict[str, str]) -> dict[str, str]:
        """Without what the clock of the server dates: ``test_ready.py`` has when it was ready."""
        places = {
            entry.id
            for entry in self.lanes.get(told.get("lane", USUAL_LANE), ())
            if entry.fields.get("id", job_id) == job_id
        }
        marks = {name: told[name] for name in ("entry", "mark") if name in told}
        told = {name: value for name, value in told.items() if name != "ready"}
        told |= {name: "here" if e in places else "gone" for name, e in marks.items()}
        created = told.get("created", str(now_ms()))
        is_recent = created.isdigit() and abs(int(created) - now_ms()) < _RECENT_MS
        if not told.keys().isdisjoint(("entry", "created")) and is_recent:
            told["created"] = str(NOW)
        return told


def read_state(client: Redis, keys: QueueKeys) -> QueueState:
    """All that stands under a queue's prefix."""
    base = keys.meta.removesuffix("meta")
    names = sorted(text(key) for key in client.keys(base + "*"))
    types = _ask(client, {name: [Redis.type] for name in names})
    # What has expired since its name was listed is no key any more.
    there = {name: text(kind) for name, (kind,) in types.items() if text(kind) != "none"}
    kinds = {name: _kind(name.removeprefix(base), kind) for name, kind in there.items()}
    answers = _ask(client, {name: _QUESTIONS[kind] for name, kind in kinds.items()})
    told: dict[str, dict[str, Any]] = {"strange": {}, **{name: {} for name in _KINDS}}
    for name, found in answers.items():
        first, _, rest = name.removeprefix(base).partition(":")
        if kinds[name] == "strange":
            told["strange"][name.removeprefix(base)] = found
        else:
            told[first][rest] = found
    return QueueState(
        records={job: _record(*found) for job, found in told["job"].items() if found[0]},
        lanes={lane: made for lane, found in told["stream"].items() if (made := _lane(*found))},
        groups={
            lane: sorted(text(row["name"]) for row in rows)
            for lane, (_, _, rows) in told["stream"].items()
            if rows is not None
        },
        unique={key: text(holder) for key, (holder,) in told["unique"].items()},
        strange={key: repr(dump) for key, (dump,) in told["strange"].items()},
        cron={text(m): score for (rows,) in told["cron"].values() for m, score in rows},
        plans={
            name: {text(field): text(value) for field, value in fields.items()}
            for name, (fields, _) in told["plan"].items()
        },
        ran={name: [text(line) for line in lines] for name, (lines,) in told["ran"].items()},
        history={
            f"{kind}:{rest}".rstrip(":"): _plain(found[0])
            for kind in _HISTORY
            for rest, found in told[kind].items()
        },
        **{name: _scores(told[name]) for name in ("schedule", "dead", "leases")},
        **{name: _texts(told[name]) for name in ("meta", "waiters", "cancels", "releases")},
    )


def _kind(suffix: str, found: str) -> str:
    return found if _KINDS.get(suffix.partition(":")[0]) == found else "strange"


def _ask(client: Redis, questions: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The answers by key, in one trip; None where a stream has no group."""
    with client.pipeline(transaction=False) as pipe:
        for key, asked in questions.items():
            for question in asked:
                question(pipe, key)
        answers = iter(pipe.execute(raise_on_error=False))
    return {key: [_answer(next(answers)) for _ in asked] for key, asked in questions.items()}


def _answer(answer: Any) -> Any:
    if isinstance(answer, Exception):
        if "NOGROUP" not in str(answer):
            raise answer
        return None
    return answer


def _record(fields: dict[bytes, bytes], left_ms: int) -> dict[str, str]:
    # In steps of ten seconds: the tests do not take so long.
    ttl = {"ttl": str(math.ceil(left_ms / 10_000) * 10)} if left_ms >= 0 else {}
    told = {text(name): value for name, value in fields.items()}
    call = call_of(told)
    if call is not None:
        told = {name: value for name, value in told.items() if name not in PIECES}
        told[Field.ENVELOPE] = call
    return _named(told) | ttl


def _lane(found: list[Any], held: list[Any] | None, _: Any) -> list[Entry]:
    owners = {text(row["message_id"]): text(row["consumer"]) for row in held or ()}
    fields = {text(entry): _named(told) for entry, told in found}
    ids = sorted(fields | owners, key=lambda entry: tuple(map(int, entry.split("-"))))
    return [Entry(fields.get(e, {}), owners.get(e, ""), e) for e in ids]


def _named(fields: Mapping[Any, bytes]) -> dict[str, str]:
    return {_name(text(letter)): text(value) for letter, value in fields.items()}


def _name(letter: str) -> str:
    return "error_" + letter[1:] if letter[0] == Field.ERROR else _NAMES.get(letter, letter)


def _scores(told: dict[str, Any]) -> Any:
    return {text(member): int(score) for (rows,) in told.values() for member, score in rows}


def _texts(told: dict[str, Any]) -> Any:
    every = (pair for fields, _ in told.values() for pair in fields.items())
    return {text(name): text(value) for name, value in every}


def _plain(found: Any) -> Any:
    """A hash or a list as texts."""
    if isinstance(found, dict):
        return {text(name): text(value) for name, value in found.items()}
    return [text(value) for value in found]


def text(value: Any) -> str:
    """Bytes of Redis as a text; what is no UTF-8 stays visible."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def record(state: str, **fields: Any) -> dict[str, str]:
    """A record as it is expected; a field of None is not in it."""
    told = {"digest": DIGEST, "created": NOW, "state": state} | fields
    return {name: str(value) for name, value in told.items() if value is not None}


def queued(lane: str = "normal", **fields: Any) -> dict[str, str]:
    """The record of a job that stands in a lane; the usual one goes without saying."""
    told = {} if lane == USUAL_LANE else {"lane": lane}
    return record("queued", entry="here", **told, **fields)


def entry(job_id: str, owner: str = "", **fields: Any) -> Entry:
    """A stream entry as it is expected; a field of None is not in it."""
    told = {"id": job_id, "envelope": "call", "token": 1} | fields
    return Entry({name: str(value) for name, value in told.items() if value is not None}, owner)
