"""A queue to work on in tests: the calls under test, and what goes into them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rqueue.config import StoreConfig
from rqueue.job import Delivery
from rqueue.store.call import Arg, Call, Flow
from rqueue.store.calls import cron, entries, jobs, leases, schedule
from rqueue.store.calls.cron import Fired, Plan, Ticking
from rqueue.store.calls.entries import Settlement
from rqueue.store.calls.jobs import NewJob
from rqueue.store.keys import LANES, Field, QueueKeys
from rqueue.store.transport import Transport
from tests.support.clients import client
from tests.support.queue_state import DAY, DIGEST, NOW, QueueState, read_state, text

T = TypeVar("T")
CRASH = b"worker died"
VERBS = ["complete", "bury", "cancel", "expire", "retry", "snooze", "park", "release"]
"""All that finish can make of an attempt."""


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
        return text(self.client.execute_command("XADD", self.keys.stream(lane), "*", *words))

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
        return text(self.client.hget(self.keys.job(job), Field.ENTRY) or "")

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
                heard.append((text(message["channel"]), text(message["data"])))
