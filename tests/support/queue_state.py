"""One queue as one value: all of it is compared before and after, not one field at a time.

The clock of the tests stands at ``NOW``, so times are exact. ``QueueState.relative`` leaves out
what is not: an entry id becomes ``here`` (the entry stands in its lane) or ``gone``.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from redis import Redis

from rqueue.clock import now_ms
from rqueue.config import StoreConfig
from rqueue.job import Delivery
from rqueue.store.call import Arg, Call, Flow
from rqueue.store.calls import cron, entries, jobs, leases, schedule
from rqueue.store.calls.cron import Fired, Plan, Ticking
from rqueue.store.calls.entries import Settlement
from rqueue.store.calls.jobs import NewJob
from rqueue.store.keys import GROUP, LANES, USUAL_LANE, Field, QueueKeys
from rqueue.store.transport import Transport
from tests.support.clients import client

T = TypeVar("T")
NOW = 1_700_000_000_000
DAY = 86_400_000
_RECENT_MS = 3_600_000
DIGEST = "12345678"
CRASH = b"worker died"
ENDED = 3600
"""Seconds a cancelled record is kept."""
VERBS = ["complete", "bury", "cancel", "expire", "retry", "snooze", "park", "release"]
"""All that finish can make of an attempt."""

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
}
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


@dataclass(frozen=True)
class QueueState:
    """Everything under a queue's prefix.

    Records and entries have the field names of ``Field``; a record that expires has ``ttl``, in
    seconds. ``groups`` are the consumers of each lane, ``strange`` the keys of a wrong type.
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

    def relative(self) -> QueueState:
        """This state without entry ids and consumers, to be compared with one written down.

        The tests' clock dates no entry, nor so what was created by the id of one: see
        ``test_created.py``.
        """
        lanes = {
            lane: [replace(entry, id="") for entry in found] for lane, found in self.lanes.items()
        }
        records = {job_id: self._located(job_id, told) for job_id, told in self.records.items()}
        return replace(self, lanes=lanes, records=records, groups={})

    def _located(self, job_id: str, told: dict[str, str]) -> dict[str, str]:
        places = {
            entry.id
            for entry in self.lanes.get(told.get("lane", USUAL_LANE), ())
            if entry.fields.get("id", job_id) == job_id
        }
        marks = {name: told[name] for name in ("entry", "mark") if name in told}
        told = told | {name: "here" if e in places else "gone" for name, e in marks.items()}
        created = told.get("created", str(now_ms()))
        is_recent = created.isdigit() and abs(int(created) - now_ms()) < _RECENT_MS
        if not told.keys().isdisjoint(("entry", "created")) and is_recent:
            told["created"] = str(NOW)
        return told


def read_state(client: Redis, keys: QueueKeys) -> QueueState:
    """All that stands under a queue's prefix."""
    base = keys.meta.removesuffix("meta")
    names = sorted(_text(key) for key in client.keys(base + "*"))
    types = _ask(client, {name: [Redis.type] for name in names})
    # What has expired since its name was listed is no key any more.
    there = {name: _text(kind) for name, (kind,) in types.items() if _text(kind) != "none"}
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
            lane: sorted(_text(row["name"]) for row in rows)
            for lane, (_, _, rows) in told["stream"].items()
            if rows is not None
        },
        unique={key: _text(holder) for key, (holder,) in told["unique"].items()},
        strange={key: repr(dump) for key, (dump,) in told["strange"].items()},
        cron={_text(m): score for (rows,) in told["cron"].values() for m, score in rows},
        plans={
            name: {_text(field): _text(value) for field, value in fields.items()}
            for name, (fields, _) in told["plan"].items()
        },
        ran={name: [_text(line) for line in lines] for name, (lines,) in told["ran"].items()},
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
    return _named(fields) | ttl


def _lane(found: list[Any], held: list[Any] | None, _: Any) -> list[Entry]:
    owners = {_text(row["message_id"]): _text(row["consumer"]) for row in held or ()}
    fields = {_text(entry): _named(told) for entry, told in found}
    ids = sorted(fields | owners, key=lambda entry: tuple(map(int, entry.split("-"))))
    return [Entry(fields.get(e, {}), owners.get(e, ""), e) for e in ids]


def _named(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {_name(_text(letter)): _text(value) for letter, value in fields.items()}


def _name(letter: str) -> str:
    return "error_" + letter[1:] if letter[0] == Field.ERROR else _NAMES.get(letter, letter)


def _scores(told: dict[str, Any]) -> Any:
    return {_text(member): int(score) for (rows,) in told.values() for member, score in rows}


def _texts(told: dict[str, Any]) -> Any:
    return {
        _text(name): _text(text) for fields, _ in told.values() for name, text in fields.items()
    }


def _text(value: Any) -> str:
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


def new_job(job_id: str = "j1", **changes: Any) -> NewJob:
    """A job to enqueue."""
    told: dict[str, Any] = {"id": job_id, "envelope": b"call", "digest": DIGEST.encode()}
    return NewJob(**(told | changes))


def ending(job: Delivery, verb: str, *, ms: int = 60_000, **changes: Any) -> Settlement:
    """How an attempt ended."""
    return Settlement(delivery=job, verb=verb, ms=ms, **changes)


UNREADABLE = ("absent", "without a group", "of a wrong type")

NIGHTLY = Plan(
    name="nightly",
    definition=b"definition",
    revision="r1",
    origin="api",
    mark_ms=NOW - DAY,
    next_ms=NOW - 1000,
    due_ms=NOW - 400,
)
"""A schedule with a tick that was due four tenths of a second ago."""
TICK = Ticking(
    verdict="run",
    overlap="skip",
    tick_ms=NOW - 1000,
    due_ms=NOW - 400,
    next_ms=NOW + DAY,
    next_due_ms=NOW + DAY + 600,
)


class Bench:
    """A queue to work on: the calls under test, with the tests' clock, and its whole state."""

    def __init__(self, url: str, namespace: str) -> None:
        self.keys = QueueKeys(namespace, "q")
        self.transport = Transport(StoreConfig(url=url, namespace=namespace))
        self.client = client(url)

    def close(self) -> None:
        self.transport.close()
        self.client.close()

    def send(self, call: Call[T]) -> T:
        return self.transport.send(call)

    def run(self, flow: Flow[T]) -> T:
        return self.transport.run(flow)

    def step(self, step: Call[Any] | Sequence[Call[Any]]) -> Any:
        """One trip of a flow that a test walks through."""
        return self.send(step) if isinstance(step, Call) else self.transport.send_many(step)

    def spoil(self, lane: str, kind: str) -> None:
        """Make a lane one that cannot be read: see ``UNREADABLE``."""
        stream = self.keys.stream(lane)
        self.client.delete(stream)
        if kind == "without a group":
            self.client.xadd(stream, {"i": "x"})
        elif kind == "of a wrong type":
            self.client.set(stream, "not a stream")

    def state(self) -> QueueState:
        """To be compared with a state that is written down."""
        return self.exact().relative()

    def exact(self) -> QueueState:
        """To be compared with itself, later."""
        return read_state(self.client, self.keys)

    def enqueue(self, *new: NewJob, now: int = NOW) -> list[str]:
        """The answers in a word each."""
        return [said.status for said in self.send(jobs.enqueue(self.keys, new, str(now)))]

    def foreign(self, lane: str = "normal", /, **fields: str | bytes) -> str:
        """An entry as any Redis client may write it."""
        words = [word for pair in fields.items() for word in pair]
        return _text(self.client.execute_command("XADD", self.keys.stream(lane), "*", *words))

    def register(self, *workers: str) -> None:
        for worker in workers:
            assert self.send(leases.register(self.keys, worker, 1)) == "registered"

    def fence(self, worker: str) -> None:
        assert self.send(leases.fence(self.keys, worker)) == "fenced"

    def fetch(self, worker: str = "w1", lanes: Sequence[str] = LANES) -> list[Delivery]:
        found = self.send(entries.fetch(self.keys, worker, 100, [(lane, 100) for lane in lanes]))
        assert found.status == "ok"
        return found.deliveries

    def taken(self, *new: NewJob, worker: str = "w1") -> Delivery:
        """A worker registers, and takes the first of these new jobs (or of what is there)."""
        if not self.client.zscore(self.keys.leases, worker):
            self.register(worker)
        if new:
            self.enqueue(*new)
        return self.fetch(worker)[0]

    def held(self, worker: str) -> list[Delivery]:
        """All that a worker holds."""
        places = self.send(entries.pending(self.keys, worker))
        return self.run(entries.read(self.keys, worker, places))

    def finish(self, *endings: Settlement, worker: str = "w1", now: int = NOW) -> list[str] | str:
        return self.send(entries.finish(self.keys, worker, endings, str(now)))

    def promote(self, *ids: str, now: int = NOW) -> list[str]:
        return self.send(schedule.promote(self.keys, ids, str(now))).answers

    def plan(self, plan: Plan = NIGHTLY, **told: Any) -> str:
        """Put a schedule where there is none, unless something else is told."""
        told = {"seen": "", "is_timed": True, "is_turned": True, "now": str(NOW)} | told
        return self.send(cron.plan(self.keys, plan, **told))

    def fire(
        self, plan: Plan, ticking: Ticking = TICK, job: NewJob | None = None, now: int = NOW
    ) -> Fired:
        return self.send(cron.fire(self.keys, plan, ticking, job, str(now)))

    def planned(self, name: str = "nightly") -> Plan:
        """A schedule as it stands."""
        found = self.send(cron.read(self.keys, name))
        assert found is not None
        return found

    def reap(self, worker: str = "w1", lane: str = "normal", now: int = NOW) -> list[str]:
        return self.run(leases.reap(self.keys, worker, lane, CRASH, str(now)))

    def cancel(self, job_id: str, reason: str = "", now: int = NOW) -> str:
        return self.run(jobs.cancel(self.keys, job_id, reason, str(now)))

    def reschedule(self, job_id: str, due: str, now: int = NOW) -> str:
        return self.run(jobs.reschedule(self.keys, job_id, due, str(now)))

    def recorded_entry(self, job: str) -> str:
        return _text(self.client.hget(self.keys.job(job), Field.ENTRY) or "")

    def note(self, job_id: str, *fields: Arg) -> None:
        """Write into a record behind the scripts' back."""
        self.client.execute_command("HSET", self.keys.job(job_id), *fields)

    @contextmanager
    def listening(self, *channels: str) -> Generator[list[tuple[str, str]]]:
        """What was published meanwhile, (channel, text) each; complete when the block is left."""
        heard: list[tuple[str, str]] = []
        with self.client.pubsub() as ear:
            ear.subscribe(*channels)
            for _ in channels:
                ear.get_message(timeout=5)
            yield heard
            # The answer comes behind everything that was published before.
            ear.ping()
            while (message := ear.get_message(timeout=5)) and message["type"] != "pong":
                heard.append((_text(message["channel"]), _text(message["data"])))
