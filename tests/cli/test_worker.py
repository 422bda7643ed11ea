"""``rqueue worker`` and ``rqueue scheduler``: real processes, real signals."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from rqueue.app import App
from tests.cli.commands import PATIENCE_S, Project, Ran
from tests.support.waiting import within


def test_a_worker_runs_a_job_and_ends_at_sigterm_with_0(project: Project, app: App) -> None:
    with project.start("worker") as worker:
        assert app.remote("add").enqueue_sync(1, 2).result_sync(10) == 3

        worker.send(signal.SIGTERM)

        assert worker.ends() == 0
    said = "\n".join(worker.lines)
    assert "tasks:app" in said
    assert f"namespace {project.namespace}" in said
    assert "add, bad, deaf, echo, sorted_mail, until_killed, until_told" in said
    assert "SIGTERM: takes no more jobs" in said
    assert "none here: delayed jobs and retries wait for one (rqueue scheduler)" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_a_job_end(
    project: Project, app: App, number: signal.Signals
) -> None:
    with project.start("worker") as worker:
        job = app.remote("until_told").enqueue_sync()
        worker.says("BEGUN")

        worker.send(number)
        worker.says("takes no more jobs")
        (project.folder / "go").touch()

        assert worker.ends() == 0
    assert job.result_sync(0) == "done"


def test_the_second_signal_gives_the_job_back_and_the_exit_code_is_1(
    project: Project, app: App
) -> None:
    job = app.remote("until_killed").enqueue_sync()
    with project.start("worker", "--grace", "1h") as worker:
        worker.says("BEGUN")
        worker.send(signal.SIGINT)
        worker.says("takes no more jobs")

        worker.send(signal.SIGTERM)

        assert worker.ends() == 1
    info = job.info_sync()
    assert (info.state, info.attempts, info.crashes) == ("queued", 0, 0)


def test_when_grace_is_over_jobs_are_given_back(project: Project, app: App) -> None:
    job = app.remote("until_killed").enqueue_sync()
    with project.start("worker", "--grace", "0.1s") as worker:
        worker.says("BEGUN")
        worker.send(signal.SIGTERM)

        assert worker.ends() == 1
    assert job.info_sync().state == "queued"


def test_a_thread_that_hears_nothing_does_not_keep_the_process_alive(
    project: Project, app: App
) -> None:
    app.remote("deaf").enqueue_sync()
    with project.start("worker", "--grace", "0s", "--lease", "1s") as worker:
        worker.says("BEGUN")
        worker.send(signal.SIGTERM)

        assert worker.ends(15) == 1
        worker.says("a thread still runs")


def test_a_burst_ends_when_the_queue_is_empty(project: Project, app: App) -> None:
    jobs = app.enqueue_many_sync(app.remote("add").call(n) for n in range(20))

    ran = project.run("worker", "tasks:app", "--burst", "--log-format", "json")

    assert ran.code == 0
    assert [job.result_sync(0) for job in jobs] == [n + 2 for n in range(20)]
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert "rqueue" in lines[0]["message"]


UVLOOP = """
import asyncio

def new_event_loop():
    print("the loop of uvloop", flush=True)
    return asyncio.new_event_loop()
"""


@pytest.mark.parametrize(("flag", "is_used"), [("--uvloop", True), ("--no-uvloop", False)])
def test_uvloop_is_used_where_it_is_installed(project: Project, flag: str, is_used: bool) -> None:
    (project.folder / "uvloop.py").write_text(UVLOOP)

    ran = project.run("worker", "--burst", flag)

    assert (ran.code, "the loop of uvloop" in ran.out) == (0, is_used)


def test_with_scheduler_delayed_jobs_run_too(project: Project, app: App) -> None:
    with project.start("worker", env={"RQUEUE_WORKER_WITH_SCHEDULER": "1"}) as worker:
        job = app.remote("add").options(delay=0.2).enqueue_sync(1)

        assert job.result_sync(10) == 3
        worker.send(signal.SIGTERM)
        assert worker.ends() == 0


def test_a_scheduler_declares_the_schedules_of_all_modules_of_its_app(
    project: Project, app: App
) -> None:
    app_of = "from rqueue import App\n\napp = App(imports=['more'])\n\n"
    (project.folder / "tasks.py").write_text(f"{app_of}@app.every('1h')\ndef here() -> None: ...\n")
    more = "from tasks import app\n\n@app.cron('@daily')\ndef there() -> None: ...\n"
    (project.folder / "more.py").write_text(more)

    with project.start("scheduler") as scheduler:
        within(10, lambda: [one.name for one in app.schedules_sync.list()] == ["here", "there"])
        scheduler.send(signal.SIGINT)
        assert scheduler.ends() == 0

    assert {one.origin for one in app.schedules_sync.list()} == {"code"}


def test_a_scheduler_needs_no_code(project: Project, app: App) -> None:
    (project.folder / "tasks.py").unlink()
    job = app.remote("add").options(delay=0.2).enqueue_sync(1)
    with project.start("scheduler") as scheduler:
        within(10, lambda: job.info_sync().state == "queued")

        scheduler.send(signal.SIGINT)

        assert scheduler.ends() == 0


def test_a_worker_is_listed_and_told_to_stop_from_elsewhere(
    project: Project, app: App, cli: Callable[..., Ran]
) -> None:
    assert "No workers" in cli("workers", "list").err
    with project.start("worker", "-q", "default,mail") as worker:
        (one,) = within(PATIENCE_S, lambda: cli("workers", "list", "--json").data)
        assert (one["queues"], one["pid"]) == (["default", "mail"], worker.process.pid)
        row = cli("workers", "list").out.splitlines()[1].split()
        assert row[:2] + row[4:6] == [one["worker"], "working", "default,mail", "100"]
        job = app.remote("until_told").enqueue_sync()
        worker.says("BEGUN")

        told = cli("workers", "stop", one["worker"])
        assert (told.code, told.err) == (0, f"{one['worker']}: takes no more jobs, and stops\n")
        worker.says("told from elsewhere to stop")
        assert cli("workers", "stop", one["worker"], "--json").data == {one["worker"]: True}
        (project.folder / "go").touch()
        assert worker.ends() == 0
    assert job.info_sync().state == "succeeded"
    assert cli("workers", "stop", one["worker"]).code == 3
