"""``rqueue workers``: looking into workers from elsewhere."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from rqueue.app import App
from tests.cli.commands import PATIENCE_S, Project, Ran
from tests.cli.test_exposure import SERVED, told, url_of
from tests.support.pages import read
from tests.support.waiting import within

BLOCKING = """
@app.task
async def blocking() -> None:
    print("BEGUN", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.005)
"""


def with_blocking(project: Project) -> Project:
    with (project.folder / "tasks.py").open("a") as tasks:
        tasks.write(BLOCKING)
    return project


def name_of(cli: Callable[..., Ran]) -> str:
    (one,) = within(PATIENCE_S, lambda: cli("workers", "list", "--json").data)
    return one["worker"]


def let_go(project: Project) -> None:
    (project.folder / "go").touch()


def test_a_worker_is_shown_with_what_it_runs(
    project: Project, app: App, cli: Callable[..., Ran]
) -> None:
    with project.start("worker") as worker:
        name = name_of(cli)
        job = app.remote("until_told").enqueue_sync()
        worker.says("BEGUN")
        shown, data = cli("workers", "show", name), cli("workers", "show", name, "--json").data
        let_go(project)
        job.result_sync(PATIENCE_S)

    lines = [line.split() for line in shown.out.splitlines()]
    assert ["worker", name] in lines
    assert ["state", "working"] in lines
    assert ["slots", "1", "of", "100", "taken"] in lines
    assert lines[-1][:4] == [job.id, "until_told", "default", "1"]
    assert (data["worker"], data["busy"], data["jobs"][0]["id"]) == (name, 1, job.id)


def test_the_stacks_of_a_worker_that_is_blocked_tell_what_blocks_it(
    project: Project, app: App, cli: Callable[..., Ran]
) -> None:
    with with_blocking(project).start("worker") as worker:
        name = name_of(cli)
        app.remote("blocking").enqueue_sync()
        worker.says("BEGUN")
        ran = cli("workers", "stacks", name)
        let_go(project)

    assert ran.code == 0
    assert " in blocking" in ran.out
    assert "Asyncio task rqueue-job task=blocking" in ran.out


def test_a_signal_makes_a_worker_print_its_stacks_and_work_on(
    project: Project, app: App, cli: Callable[..., Ran]
) -> None:
    with with_blocking(project).start("worker") as worker:
        name_of(cli)
        app.remote("blocking").enqueue_sync()
        worker.says("BEGUN")
        worker.send(signal.SIGUSR1)
        worker.says("tasks.py", "in blocking")  # though the event loop does not turn
        let_go(project)
        worker.says("Asyncio task rqueue-tick:")
        assert app.remote("add").enqueue_sync(1).result_sync(PATIENCE_S) == 3


def test_a_signal_that_comes_when_all_is_over_ends_nothing() -> None:
    code = """
import asyncio, atexit, os, signal
from rqueue.cli.serving import on_stacks_signal, serve

async def main():
    on_stacks_signal(lambda: None)
    return 7

atexit.register(os.kill, os.getpid(), signal.SIGUSR1)
serve(main())
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


def test_a_signal_to_a_supervisor_makes_its_children_print_their_stacks_one_after_the_other(
    project: Project,
) -> None:
    begin, end = "its stacks follow", "Asyncio task rqueue-tick:"
    with project.start(*SERVED, "-p", "2") as supervisor:
        url = url_of(supervisor)
        within(PATIENCE_S, lambda: told(url)["rqueue_worker_slots"] == 200)
        supervisor.send(signal.SIGUSR1)

        def parts() -> list[str]:
            return [word for line in supervisor.lines for word in (begin, end) if word in line]

        within(PATIENCE_S, lambda: parts().count(end) == 2)
        assert parts() == [begin, end, begin, end]


def test_a_child_whose_event_loop_hangs_does_not_keep_the_others_from_printing_their_stacks(
    project: Project, app: App
) -> None:
    with with_blocking(project).start(*SERVED, "-p", "2") as supervisor:
        url = url_of(supervisor)
        within(PATIENCE_S, lambda: told(url)["rqueue_worker_slots"] == 200)
        app.remote("blocking").enqueue_sync()
        supervisor.says("BEGUN")
        supervisor.send(signal.SIGUSR1)
        supervisor.says("Asyncio task rqueue-tick:")
        supervisor.says(" in blocking")
        let_go(project)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("scheduler", "--metrics-host", "127.0.0.1", "--metrics-port", "0"), "rqueue-tick"),
        (("exporter", "--host", "127.0.0.1", "--port", "0"), "Task-1"),
    ],
    ids=["scheduler", "exporter"],
)
def test_a_signal_makes_whoever_runs_no_jobs_print_its_stacks_too(
    project: Project, words: tuple[str, ...], part: str
) -> None:
    with project.start(*words) as running:
        url = url_of(running)
        running.send(signal.SIGUSR1)
        running.says(f"Asyncio task {part}")
        assert read(url, "/livez").status == 200
        running.send(signal.SIGTERM)
        assert running.ends() == 0


def test_a_worker_is_told_to_be_quiet_and_stays(
    project: Project, app: App, cli: Callable[..., Ran]
) -> None:
    with project.start("worker") as worker:
        name = name_of(cli)
        told = cli("workers", "quiet", name)  # it is there a moment before it listens
        worker.says("told to be quiet")
        assert (told.code, told.err) == (0, f"{name}: takes no more jobs\n")
        assert cli("workers", "list", "--json").data[0]["state"] == "quiet"
        job = app.remote("add").enqueue_sync(1)

        again = cli("workers", "quiet", name)
        assert (again.code, again.err) == (0, f"{name}: takes no more jobs\n")
        assert job.info_sync().state == "queued"
        assert worker.process.poll() is None


def test_who_is_not_there_is_not_found(cli: Callable[..., Ran]) -> None:
    for command in ("show", "stacks", "quiet", "stop"):
        ran = cli("workers", command, "nobody")
        assert ran.code == 3
        assert "no worker 'nobody' in namespace" in ran.err
        assert ran.err.endswith("there are none\n")
