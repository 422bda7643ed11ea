"""Workers whose event loop is stuck: once somebody has their jobs, they are of no use and end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.job import JobState
from rqueue.store.keys import QueueKeys
from rqueue.task import Task
from tests.integration import fleet as tasks
from tests.support.processes import Fleet, WorkerProcess, fleet_of
from tests.support.queue_state import read_state
from tests.support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.fault

STUCK = {"exit_when_stuck": True, "stall_limit_s": 0.5}
STATUS = 70


@pytest.fixture
def fleet(url: str, namespace: str) -> Iterator[Fleet]:
    with fleet_of(url, namespace) as fleet:
        yield fleet


@pytest.fixture
def block(app: App) -> Task[[str, str], str]:
    """Keeps the event loop of its worker from turning until it is let go."""
    task: Any = tasks.block
    return app.task(task.fn)


class Blocked:
    """The runs of one job that blocks whoever runs it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.log.touch()

    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.log.read_text().splitlines()]

    async def runs(self, *processes: WorkerProcess) -> None:
        """Wait until it has begun in these processes, one after the other."""
        await eventually(lambda: self.pids() == [one.pid for one in processes])

    def let_go(self) -> None:
        Path(f"{self.log}.job").touch()


@pytest.fixture
def blocked(tmp_path: Path) -> Blocked:
    return Blocked(tmp_path)


def name_of(process: WorkerProcess) -> str:
    """The name under which a process began."""
    ((name,),) = [ready["workers"] for ready in process.of("ready")]
    return name


def leases(redis: Redis, namespace: str) -> list[str]:
    return list(read_state(redis, QueueKeys(namespace, "default")).leases)


async def test_a_stuck_worker_ends_and_its_job_runs_elsewhere(
    block: Any,
    fleet: Fleet,
    blocked: Blocked,
    redis: Redis,
    namespace: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stuck = fleet.start(**STUCK).ready()
    job = await block.enqueue(str(blocked.log), "job")
    await blocked.runs(stuck)
    successor = fleet.start().ready()

    assert stuck.ended() == STATUS

    # Not before its lease was gone: until then its job belongs to it.
    assert leases(redis, namespace) == [name_of(successor)]
    await blocked.runs(stuck, successor)
    blocked.let_go()
    assert await job.result(PATIENCE_S) == f"job by {successor.pid}"
    info = await job.info()
    assert (info.attempts, info.crashes, info.worker) == (1, 1, name_of(successor))
    assert [(one.type, one.worker) for one in info.errors] == [("WorkerDied", name_of(stuck))]
    # Its last words are the stacks of all threads: where it was stuck, and who ended it.
    frames = re.findall(r'File ".*", line \d+ in (\w+)', capfd.readouterr().err)
    assert {"block", "_leave_when_stuck"} <= set(frames)


async def test_a_stuck_worker_without_neighbours_leaves_its_job_to_the_next(
    block: Any, fleet: Fleet, blocked: Blocked, redis: Redis, namespace: str
) -> None:
    """Nobody else looks at its lease: its own heartbeat finds it dead."""
    stuck = fleet.start(**STUCK).ready()
    job = await block.enqueue(str(blocked.log), "job")
    await blocked.runs(stuck)

    assert stuck.ended() == STATUS

    assert leases(redis, namespace) == []
    info = await job.info()
    assert (info.state, info.attempts, info.crashes) == (JobState.QUEUED, 0, 1)
    successor = fleet.start().ready()
    await blocked.runs(stuck, successor)
    blocked.let_go()
    assert await job.result(PATIENCE_S) == f"job by {successor.pid}"


async def test_a_worker_that_was_fenced_before_it_counts_as_stuck_ends_when_it_does(
    block: Any, fleet: Fleet, blocked: Blocked, redis: Redis, namespace: str
) -> None:
    """A renewal has told it already, and it renews no more."""
    stuck = fleet.start(**STUCK | {"stall_limit_s": 1.5}).ready()
    job = await block.enqueue(str(blocked.log), "job")
    await blocked.runs(stuck)
    redis.zrem(QueueKeys(namespace, "default").leases, name_of(stuck))

    assert stuck.ended() == STATUS

    successor = fleet.start().ready()
    await blocked.runs(stuck, successor)
    blocked.let_go()
    assert await job.result(PATIENCE_S) == f"job by {successor.pid}"
