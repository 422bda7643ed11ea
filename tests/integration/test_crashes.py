"""Workers that die, freeze and come back: nothing is lost, nothing is recorded twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rqueue import results
from rqueue.app import App
from rqueue.events import WorkerReaped
from rqueue.job import JobState
from tests.integration import fleet as tasks
from tests.support.processes import Fleet, fleet_of
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import scheduling

pytestmark = pytest.mark.fault

LEASE_S = 1.0
"""And a few seconds: a look, a sweep, a fetch, and a machine that is busy."""
FEW_S = 6.0


class Log:
    """What the tasks of all processes wrote: name, pid, attempt, token."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        path.touch()

    def runs(self, name: str = "") -> list[tuple[str, int, int, int]]:
        lines = (line.split() for line in Path(self.path).read_text().splitlines())
        found = [(n, int(pid), int(attempt), int(token)) for n, pid, attempt, token in lines]
        return [one for one in found if not name or one[0] == name]

    def release(self, *names: str) -> None:
        for name in names:
            Path(f"{self.path}.{name}").touch()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture
def fleet(url: str, namespace: str) -> Iterator[Fleet]:
    with fleet_of(url, namespace) as fleet:
        yield fleet


@pytest.fixture
def declared(app: App) -> App:
    """The tasks of the processes, to be enqueued from here."""
    for name in ("hold", "hold_in_thread", "poison", "quick"):
        task: Any = getattr(tasks, name)
        app.task(retry=task.declared.retry)(task.fn)
    return app


async def running(log: Log, *names: str, times: int = 1) -> None:
    await eventually(lambda: all(len(log.runs(name)) >= times for name in names))


async def test_jobs_of_a_worker_that_was_killed_run_elsewhere_within_lease_and_a_little(
    declared: App, fleet: Fleet, log: Log
) -> None:
    names = [f"job{n}" for n in range(4)]  # as many as run at a time after a crash
    hold = declared.tasks.get("hold")
    first = fleet.start().ready()
    jobs = await declared.enqueue_many(hold.call(log.path, name) for name in names)
    await running(log, *names)
    second = fleet.start().ready()

    first.signal(signal.SIGKILL)
    began = time.monotonic()
    await running(log, *names, times=2)
    took = time.monotonic() - began
    log.release(*names)

    assert await results(jobs, PATIENCE_S) == [f"{name} by {second.pid}" for name in names]
    assert took < LEASE_S + FEW_S
    for job, name in zip(jobs, names, strict=True):
        info = await job.info()
        assert (info.attempts, info.crashes, info.errors[0].type) == (1, 1, "WorkerDied")
        # No attempt was charged for the crash, and the second run has the larger token.
        assert [run[2:] for run in log.runs(name)] == [(1, 1), (1, 2)]


async def test_a_job_that_kills_its_worker_is_dead_and_the_innocents_beside_it_succeed(
    declared: App, fleet: Fleet, log: Log
) -> None:
    names = [f"innocent{n}" for n in range(6)]
    ears = Ears(declared)
    innocents = await declared.enqueue_many(
        declared.tasks.get("hold").call(log.path, name) for name in names
    )
    fleet.start().ready()
    await running(log, *names)
    poison = await declared.tasks.get("poison").enqueue(log.path)
    ended = asyncio.create_task(poison.wait(3 * PATIENCE_S))

    def has_ended() -> bool:
        if not ended.done():
            fleet.keep_alive()
        return ended.done()

    async with scheduling(declared):
        await eventually(lambda: len(log.runs("poison")) == 1)
        log.release(*names)
        await eventually(has_ended, 4 * PATIENCE_S)
        assert ended.result() == JobState.DEAD
        fleet.keep_alive()
        values = await results(innocents, PATIENCE_S)

    info = await poison.info()
    assert (info.reason, info.crashes, info.attempts) == ("crashed", 3, 0)
    assert [one.type for one in info.errors] == ["WorkerDied"] * 3
    assert len(log.runs("poison")) == 3
    assert [value.split()[0] for value in values] == names
    assert {(await job.info()).state for job in innocents} == {JobState.SUCCEEDED}
    assert ears.of(WorkerReaped)


async def test_a_frozen_worker_cannot_record_what_runs_elsewhere_since(
    declared: App, fleet: Fleet, log: Log
) -> None:
    hold = declared.tasks.get("hold")
    zombie = fleet.start().ready()
    job = await hold.enqueue(log.path, "job")
    await running(log, "job")
    successor = fleet.start().ready()

    zombie.signal(signal.SIGSTOP)
    await running(log, "job", times=2)
    log.release("job")
    assert await job.result(PATIENCE_S) == f"job by {successor.pid}"
    before = await job.info()
    zombie.signal(signal.SIGCONT)
    await eventually(lambda: zombie.of("WorkerFenced"))
    finished = await eventually(lambda: zombie.of("JobFinished", job_id=job.id))

    assert [one["status"] for one in finished] == ["fenced"]
    assert await job.info() == before
    assert (before.crashes, before.attempts, before.worker) == (1, 1, log_worker(successor))

    # It comes back under a new name, and works.
    successor.signal(signal.SIGTERM)
    successor.ended()
    after = await declared.tasks.get("quick").enqueue(log.path, "after")
    assert await after.result(PATIENCE_S) == f"after by {zombie.pid}"
    assert (await after.info()).worker != log_worker(zombie)


def log_worker(process: Any) -> str:
    """The name under which a process began."""
    (ready,) = process.of("ready")
    (worker,) = ready["workers"]
    return worker


async def test_a_frozen_thread_is_no_exception(declared: App, fleet: Fleet, log: Log) -> None:
    zombie = fleet.start().ready()
    job = await declared.tasks.get("hold_in_thread").enqueue(log.path, "job")
    await running(log, "job")
    successor = fleet.start().ready()

    zombie.signal(signal.SIGSTOP)
    await running(log, "job", times=2)
    log.release("job")
    assert await job.result(PATIENCE_S) == f"job by {successor.pid}"
    zombie.signal(signal.SIGCONT)
    finished = await eventually(lambda: zombie.of("JobFinished", job_id=job.id))

    assert [one["status"] for one in finished] == ["fenced"]
    assert await job.result(0) == f"job by {successor.pid}"


async def test_a_worker_told_to_end_gives_back_what_does_not_end_in_time(
    declared: App, fleet: Fleet, log: Log
) -> None:
    first = fleet.start(grace_s=0.1).ready()
    job = await declared.tasks.get("hold").enqueue(log.path, "job")
    await running(log, "job")

    first.signal(signal.SIGTERM)
    assert first.ended() == 0

    assert first.of("ended") == [{"event": "ended", "clean": False}]
    info = await job.info()
    assert (info.state, info.attempts, info.crashes) == ("queued", 0, 0)
    second = fleet.start().ready()
    log.release("job")
    assert await job.result(PATIENCE_S) == f"job by {second.pid}"


async def test_under_kills_no_job_is_lost_and_none_is_recorded_twice(
    declared: App, fleet: Fleet, log: Log
) -> None:
    names = [f"job{n}" for n in range(200)]
    jobs = await declared.enqueue_many(
        declared.tasks.get("quick").call(log.path, name) for name in names
    )
    held = await declared.tasks.get("hold").enqueue(log.path, "held")
    for _ in range(3):
        fleet.start(concurrency=3)
    await running(log, "held", names[20])

    os.kill(next(pid for _, pid, _, _ in log.runs("held")), signal.SIGKILL)
    log.release("held")
    values = await results([*jobs, held], PATIENCE_S)

    assert [value.split()[0] for value in values] == [*names, "held"]
    (queue,) = await declared.inspector.queues("default")
    assert (queue.counters["complete"], queue.dead, queue.running) == (201, 0, 0)
    assert queue.counters["reap"] >= 1
