"""Jobs that kill their worker: they end dead with the cause, the innocents beside them end well."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rqueue import App
from rqueue.handle import Job
from rqueue.job import JobInfo, JobState
from tests.faults.history import History
from tests.faults.scenario import TWO
from tests.faults.tasks import HISTORY
from tests.support.servers import Server
from tests.support.waiting import within

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
LEASE_S = 2
INNOCENTS = 200
BOUND_S = 60.0
CGROUPS = Path("/sys/fs/cgroup/memory")
ROOM = 256 << 20
"""Bytes that all processes of a group may use."""
SPACE = 512 << 20
"""Bytes that one process may map: a third of it is taken by Python and its threads."""
Confine = Callable[[], None]


class Trial:
    """A supervisor of two workers with a hundred slots each, and the jobs they are given."""

    def __init__(self, url: str, folder: Path, confine: Confine | None = None) -> None:
        self.app = App(url, namespace="poison")
        self.history = History(folder / "history.jsonl")
        self.jobs: list[Job[Any]] = []
        self.poisons: list[Job[Any]] = []
        command = [
            sys.executable, "-m", "rqueue", "worker", "tests.faults.tasks:app", "--url", url,
            "--namespace", "poison", "-p", "2", "-c", "100", "--lease", f"{LEASE_S}s",
            "--with-scheduler",
        ]  # fmt: skip
        self.log = (folder / "worker.log").open("wb")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                HISTORY: str(self.history.path),
                "PYTHONPATH": str(ROOT),
            },
            stderr=self.log,
            preexec_fn=confine,  # noqa: PLW1509
        )

    def send(self, *poisons: str) -> None:
        """Innocents, with poison between them."""
        work = self.app.remote("work")
        step = INNOCENTS // (len(poisons) + 1)
        calls = [work.call(300) for _ in range(INNOCENTS)]
        self.jobs = self.app.enqueue_many_sync(calls[:step])
        for number, how in enumerate(poisons, 1):
            self.poisons.append(self.app.remote("poison").enqueue_sync(how))
            self.jobs += self.app.enqueue_many_sync(calls[number * step : (number + 1) * step])
        self.jobs += self.app.enqueue_many_sync(calls[(len(poisons) + 1) * step :])

    def ended(self) -> tuple[list[JobInfo], list[JobInfo]]:
        """How the innocents and the poisons ended, once all have; the time stands in the log."""
        began = time.monotonic()
        for job in [*self.jobs, *self.poisons]:
            job.wait_sync(BOUND_S)
        kills = [line["at"] for line in self.history.of("begin", task="poison")]
        ends = [line["at"] for line in self.history.of("end", task="work")]
        sys.stdout.write(
            f"{len(self.poisons)} poisons, {len(kills)} kills: all ended after "
            f"{time.monotonic() - began:.1f} s; the last innocent {max(ends) - kills[0]:.1f} s "
            "after the first kill\n"
        )
        assert max(ends) - kills[0] < BOUND_S
        return [j.info_sync() for j in self.jobs], [j.info_sync() for j in self.poisons]


@contextmanager
def trial(url: str, folder: Path, confine: Confine | None = None) -> Iterator[Trial]:
    made = Trial(url, folder, confine)
    try:
        within(30, lambda: len(made.app.workers_sync.list()) == 2)
        yield made
    finally:
        made.process.send_signal(signal.SIGTERM)
        made.process.wait(40)
        made.log.close()
        made.history.close()
        made.app.close_sync()


@pytest.fixture(params=TWO)
def poisoned_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with Server(request.param) as server:
        yield server.url


@pytest.mark.parametrize(
    ("poisons", "cause"),
    [
        (("kill",), "the worker process was ended by SIGKILL"),
        (("exit",), "the worker process ended with exit code 3"),
        (("kill",) * 10, "the worker process was ended by SIGKILL"),
    ],
)
def test_the_poison_is_dead_with_its_cause_and_every_innocent_succeeds(
    poisoned_url: str, tmp_path: Path, poisons: tuple[str, ...], cause: str
) -> None:
    with trial(poisoned_url, tmp_path) as run:
        run.send(*poisons)
        innocents, guilty = run.ended()

    assert {info.state for info in innocents} == {JobState.SUCCEEDED}
    assert {(info.state, info.reason, info.crashes) for info in guilty} == {
        (JobState.DEAD, "crashed", 3)
    }
    last = [info.errors[-1] for info in guilty]
    assert {error.type for error in last} == {"WorkerDied"}
    assert {error.message for error in last} == {cause}


def map_little() -> None:
    """Limit this process and its children: each may map so much, whoever may make groups."""
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def test_a_job_that_breaks_the_limit_of_its_process_is_dead_and_every_innocent_succeeds(
    poisoned_url: str, tmp_path: Path
) -> None:
    with trial(poisoned_url, tmp_path, map_little) as run:
        run.send("memory")
        innocents, (guilty,) = run.ended()

    assert {info.state for info in innocents} == {JobState.SUCCEEDED}
    assert (guilty.state, guilty.reason, guilty.crashes) == (JobState.DEAD, "crashed", 3)
    assert guilty.errors[-1].message == "the worker process was ended by SIGABRT"
    assert run.history.of("survived") == []


@pytest.fixture
def move_into_a_group() -> Iterator[Confine]:
    """What moves a process into a group whose members may use little memory together."""
    made = CGROUPS / f"rqueue-{os.getpid()}"
    try:
        made.mkdir()
        (made / "memory.limit_in_bytes").write_text(str(ROOM))
    except OSError as error:
        pytest.skip(
            "no control group can be made here, so nothing shows that an OOM kill is called one; "
            f"that memory runs out is tried with the limit of a process: {error}"
        )

    def move() -> None:
        (made / "cgroup.procs").write_text(str(os.getpid()))

    yield move
    within(10, lambda: not (made / "cgroup.procs").read_text())
    made.rmdir()


def test_a_job_that_eats_all_memory_is_dead_and_the_history_says_why(
    poisoned_url: str, tmp_path: Path, move_into_a_group: Confine
) -> None:
    with trial(poisoned_url, tmp_path, move_into_a_group) as run:
        run.send("memory")
        innocents, (guilty,) = run.ended()

    assert {info.state for info in innocents} == {JobState.SUCCEEDED}
    assert (guilty.state, guilty.reason) == (JobState.DEAD, "crashed")
    assert guilty.errors[-1].message == (
        "the worker process was ended by SIGKILL because memory ran out"
    )
