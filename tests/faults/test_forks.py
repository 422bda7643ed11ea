"""F31: tasks fork; the child never uses the sockets of its parent, which goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rqueue import App
from tests.faults.scenario import TWO
from tests.faults.stage import NAMESPACE, Stage

pytestmark = pytest.mark.fault

CHILD_SENDS = ("blocking", "async", "clean")


@pytest.fixture(params=TWO)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, request.param, 0) as stage:
        stage.appendfsync = "no"
        stage.start_server()
        yield stage


@pytest.fixture
def app(stage: Stage) -> Iterator[App]:
    app = App(stage.url, namespace=NAMESPACE)
    yield app
    app.close_sync()


def connections(stage: Stage) -> set[str]:
    """The server's numbers of all connections of rqueue."""
    listed: Any = stage.admin.client_list()
    return {one["id"] for one in listed if one["name"] == "rqueue"}


@pytest.mark.parametrize(
    ("name", "args", "value"),
    [
        ("fork_on_the_loop", (), 0),
        ("fork_in_a_thread", (), 0),
        ("run_a_command", (), 0),
        ("fall_out_on_the_loop", ("exit",), 3),
        ("fall_out_on_the_loop", ("raise",), 70),
        ("fall_out_on_the_loop", ("return",), 70),
        ("fall_out_in_a_thread", ("exit",), 3),
        ("fall_out_in_a_thread", ("raise",), 70),
        ("fall_out_in_a_thread", ("return",), 70),
    ],
)
def test_a_task_that_forks_harms_neither_its_worker_nor_the_jobs_beside_it(
    stage: Stage, app: App, name: str, args: tuple[Any, ...], value: int
) -> None:
    worker = stage.start("worker", module="tests.faults.forks", with_scheduler=True).ready()
    warm = [app.remote("work").enqueue_sync(ms) for ms in range(20)]
    assert [job.result_sync(20) for job in warm] == list(range(20))
    before = connections(stage)

    forking = [app.remote(name).options(job_id=f"fork-{n}").enqueue_sync(*args) for n in range(3)]
    beside = [app.remote("work").enqueue_sync(ms % 50) for ms in range(100)]

    assert [job.result_sync(20) for job in forking] == [value] * 3
    assert [job.result_sync(20) for job in beside] == [ms % 50 for ms in range(100)]
    assert before <= connections(stage)
    if name.startswith("fork_"):
        children = [app.job(f"fork-{n}-{how}") for n in range(3) for how in CHILD_SENDS]
        assert [job.result_sync(20) for job in children] == [1, 2, 3] * 3
    assert not worker.has_ended
    assert stage.history.of("WorkerFenced") == []
    begun = [line["job"] for line in stage.history.of("begin")]
    assert len(begun) == len(set(begun))
    assert {line["by"] for line in stage.history.of("JobFinished")} == {worker.process.pid}
    stage.until(stage.is_empty)
    state = stage.settle()
    assert (state.lanes, state.schedule, state.dead) == ({}, {}, {})
