"""F26: every key of a queue in turn holds another type, under load, until somebody repairs it.

Each key is spoilt in a queue of its own, all at once, beside a queue that is sound: one worker and
one scheduler serve them all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rqueue import App, Job
from rqueue.errors import CorruptKey, JobNotFound
from rqueue.store.keys import LANES, QueueKeys
from tests.faults.stage import NAMESPACE, Stage
from tests.support.queue_state import read_state

pytestmark = pytest.mark.fault

FINAL = {"succeeded", "dead", "cancelled", "expired"}
SHARED = ("schedule", "dead", "leases", "meta", "waiters", "cancels")
PLACES = ("job", "unique", *SHARED, *LANES)
DELETED = ("job", "unique", "dead", "leases", "meta", "waiters", "cancels")
"""Keys that may also be repaired by deleting them; a lane or a schedule takes its jobs along."""
SOUND = "default"


class Sick:
    """A queue with one key of a wrong type."""

    def __init__(self, stage: Stage, app: App, place: str, repair: str) -> None:
        self.stage = stage
        self.app = app
        self.place = place
        self.repair = repair
        self.queue = f"{repair}-{place}"
        self.keys = QueueKeys(NAMESPACE, self.queue)
        self.accepted: list[Job[Any]] = []
        self.refused = 0
        self.is_missed = False

    @property
    def key(self) -> str:
        if self.place in LANES:
            return self.keys.stream(self.place)
        named = {"job": self.keys.job("record"), "unique": self.keys.unique("key")}
        return named.get(self.place) or getattr(self.keys, self.place)

    def load(self, ms: int) -> None:
        """Jobs of every kind; some run when the key is spoilt, some wait."""
        self.send("work", ms, priority="critical")
        self.send("work", ms)
        self.send("work_in_thread", ms, priority="low")
        self.send("stumble", 1)
        self.send("doomed")
        self.send("doze")
        self.send("work", 0, delay=0.5)
        self.send("work", 0, unique="key")

    def send(self, name: str, *args: Any, **options: Any) -> None:
        task = self.app.remote(name, queue=self.queue).options(**options)
        try:
            job = task.enqueue_sync(*args)
        except CorruptKey:
            self.refused += 1
        else:
            if job.status == "accepted":
                self.accepted.append(job)

    def spoil(self) -> None:
        with self.stage.admin.pipeline(transaction=True) as pipe:
            if self.stage.admin.exists(self.key):
                pipe.rename(self.key, self.aside)
            else:
                self.is_missed = True
            pipe.rpush(self.key, "of a wrong type")
            pipe.execute()

    def mend(self) -> None:
        with self.stage.admin.pipeline(transaction=True) as pipe:
            pipe.delete(self.key)
            if self.repair == "restored" and not self.is_missed:
                pipe.rename(self.aside, self.key)
            else:
                pipe.delete(self.aside)
            pipe.execute()

    @property
    def aside(self) -> str:
        return self.key.replace(NAMESPACE, "aside")

    def states(self) -> dict[str, str]:
        return {job.id: state_of(job) for job in self.accepted}

    def has_ended(self) -> bool:
        return set(self.states().values()) <= FINAL

    def is_told(self) -> bool:
        """Whether an error or a warning names the queue; of a lock only producers hear."""
        logs = "".join(one.log.read_text(errors="replace") for one in self.stage.actors)
        lines = [line for line in logs.splitlines() if line.startswith(("ERROR", "WARNING"))]
        words = (f"queue={self.queue}: ", f"queue={self.queue} job=", f"queue {self.queue}: ")
        return any(word in line for line in lines for word in words)


@pytest.fixture(params=["valkey9", "redis7"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(1 << 20)))
    with Stage(tmp_path, request.param, seed) as stage:
        stage.appendfsync = "no"
        stage.start_server()
        yield stage


@pytest.mark.parametrize("repair", ["restored", "deleted"])
def test_a_key_of_a_wrong_type_harms_nothing_else_and_all_ends_once_it_is_repaired(
    stage: Stage, repair: str
) -> None:
    app = App(stage.url, namespace=NAMESPACE)
    places = PLACES if repair == "restored" else DELETED
    sick = [Sick(stage, app, place, repair) for place in places]
    queues = [one.queue for one in sick]
    stage.schedulers(1)
    worker = stage.start("worker", queues=[*queues, SOUND], concurrency=200).ready()

    for one in sick:
        app.remote("work", queue=one.queue).options(job_id="record").enqueue_sync(3000)
        one.accepted.append(app.job("record", one.queue))
        one.load(700)
    stage.until(lambda: len(stage.history.of("begin", task="work")) >= 3 * len(sick))
    for one in sick:
        one.spoil()
    for one in sick:
        one.load(0)

    sound = [app.remote("work", queue=SOUND).enqueue_sync(0) for _ in range(50)]
    assert [job.result_sync(5) for job in sound] == [0] * 50
    loud = [one for one in sick if one.place != "unique"]
    all_of(stage, loud, Sick.is_told)
    producers = {"job": 0, "unique": 1, "meta": 8, "schedule": 1, "critical": 1, "low": 1}
    for one in sick:
        assert one.place not in producers or one.refused == producers[one.place], one.place
    for place in ("job", "unique", "released", "suspect", "last"):
        others = [job for one in sick if one.place == place for job in one.accepted]
        stage.until(lambda others=others: ended_but(others, "record"))
    for one in sick:
        one.mend()

    all_of(stage, sick, Sick.has_ended)
    assert not worker.has_ended
    assert {one.name for one in stage.actors} == {
        line["name"] for line in stage.history.of("ready")
    }
    app.close_sync()
    stage.settle()
    for one in sick:
        state = read_state(stage.admin, one.keys)
        assert (state.lanes, state.schedule, state.strange) == ({}, {}, {}), one.queue


def state_of(job: Job[Any]) -> str:
    try:
        return job.info_sync().state.value
    except JobNotFound:  # the record was deleted; the job's end makes it anew
        return "unknown"


def all_of(stage: Stage, sick: list[Sick], holds: Callable[[Sick], bool]) -> None:
    """Wait until something holds for each; say for which it never did."""
    left = list(sick)

    def look() -> bool:
        left[:] = [one for one in left if not holds(one)]
        return not left

    try:
        stage.until(look, 30)
    except AssertionError as error:
        raise AssertionError(f"{holds.__name__} not of {[one.queue for one in left]}") from error


def ended_but(jobs: list[Job[Any]], name: str) -> bool:
    """Whether all but one have ended."""
    return all(job.info_sync().state.is_final for job in jobs if job.id != name)
