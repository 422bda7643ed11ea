"""``rqueue worker --metrics-port``: scraped and probed as real processes."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from rqueue.app import App
from tests.cli.commands import PATIENCE_S, TASKS, Project, Running
from tests.cli.test_supervisor import both
from tests.support.pages import read
from tests.support.servers import Server
from tests.support.tools import said, tool
from tests.support.waiting import within

SERVED = ("worker", "--metrics-host", "127.0.0.1", "--metrics-port", "0")


def url_of(worker: Running) -> str:
    found = re.search(r"http://[\d.:]+", worker.says("/metrics"))
    assert found
    return found[0]


def told(url: str) -> dict[str, float]:
    """Each sample of a worker's page by its name and labels."""
    lines = read(url, "/metrics").text.splitlines()
    samples = (line.rpartition(" ") for line in lines if line.startswith("rqueue_"))
    return {name: float(value) for name, _, value in samples}


def attempts(task: str, outcome: str = "succeeded") -> str:
    return f'rqueue_attempts_total{{outcome="{outcome}",queue="default",task="{task}"}}'


def test_a_worker_tells_what_it_did_and_how_it_is(project: Project, app: App) -> None:
    jobs = app.enqueue_many_sync(app.remote("add").call(n) for n in range(20))
    with project.start(*SERVED) as worker:
        url = url_of(worker)
        within(PATIENCE_S, lambda: read(url, "/startupz").status == 200)
        for job in jobs:
            job.result_sync(PATIENCE_S)
        within(PATIENCE_S, lambda: told(url).get(attempts("add")) == 20)

        assert read(url, "/livez")[::2] == read(url, "/readyz")[::2] == (200, "ok\n")
        page = read(url, "/metrics").text
        assert "\nprocess_resident_memory_bytes " in page
        assert 'rqueue_job_wait_seconds_count{queue="default"} 20.0' in page


@pytest.mark.parametrize(
    "words",
    [
        SERVED,
        (*SERVED, "-p", "2", "--metrics-errors"),
        ("scheduler", *SERVED[1:]),
        ("exporter", "--host", "127.0.0.1", "--port", "0"),
    ],
    ids=["worker", "supervisor", "scheduler", "exporter"],
)
def test_promtool_finds_nothing_wrong_with_what_is_served(
    project: Project, app: App, words: tuple[str, ...]
) -> None:
    promtool = tool("promtool")
    app.remote("add").enqueue_sync(1)
    app.remote("bad").enqueue_sync()
    assert project.run("worker", "--burst").code == 0
    with project.start(*words) as running:
        url = url_of(running)
        within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)
        for job in (app.remote("add").enqueue_sync(1), app.remote("bad").enqueue_sync()):
            if words[0] == "worker":
                job.wait_sync(PATIENCE_S)

        assert said([promtool, "check", "metrics"], text=read(url, "/metrics").text) == ""


def test_buckets_and_errors_are_told_as_they_are_asked_for(project: Project, app: App) -> None:
    app.remote("bad").enqueue_sync()
    words = ("--run-buckets", "1,5", "--wait-buckets", "7", "--metrics-errors", "-p", "2")
    with project.start(*SERVED, *words) as worker:
        url = url_of(worker)
        error = 'rqueue_errors_total{error="ValueError",queue="default",task="bad"}'
        within(PATIENCE_S, lambda: told(url).get(error) == 1)
        of_jobs = (name for name in told(url) if name.startswith("rqueue_job_") and "le=" in name)
        ends = {name.partition('le="')[2].partition('"')[0] for name in of_jobs}

    assert ends == {"1.0", "5.0", "7.0", "+Inf"}


@pytest.mark.parametrize("text", ["5,1", "0,1", "x", "", "1,inf"])
def test_buckets_that_do_not_ascend_are_refused(project: Project, text: str) -> None:
    ran = project.run("worker", "--run-buckets", text)

    assert ran.code == 2
    assert "bucket" in ran.err or "write seconds like" in ran.err


def test_a_supervisor_tells_of_all_its_children_also_of_those_that_died(
    project: Project, app: App
) -> None:
    with project.start(*SERVED, "-p", "2", "--lease", "60s") as supervisor:
        url = url_of(supervisor)
        children = both(app)
        within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)

        def runs(number: int) -> None:
            for job in app.enqueue_many_sync(app.remote("add").call(n) for n in range(number)):
                job.result_sync(PATIENCE_S)

        runs(40)
        within(PATIENCE_S, lambda: told(url).get(attempts("add")) == 40)
        os.kill(next(iter(children.values())), signal.SIGKILL)
        restarts = 'rqueue_worker_child_restarts_total{reason="crash"}'
        within(PATIENCE_S, lambda: told(url)[restarts] == 1)
        runs(30)
        within(PATIENCE_S, lambda: told(url).get(attempts("add")) == 70)
        within(PATIENCE_S, lambda: told(url)["rqueue_worker_slots"] == 200)
        used = told(url)["rqueue_worker_memory_bytes"]
        supervisor.send(signal.SIGTERM)
        assert supervisor.ends() == 0
    assert used > 2 * (15 << 20)


def test_a_child_that_is_killed_takes_no_count_along(project: Project, app: App) -> None:
    with project.start(*SERVED, "-p", "2", "-c", "1", "--lease", "60s") as supervisor:
        url = url_of(supervisor)
        children = both(app)
        within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)
        for killed in range(1, 4):
            # In less than the second after which it would be reported.
            for job in app.enqueue_many_sync(app.remote("add").call(n) for n in range(20)):
                job.result_sync(PATIENCE_S)
            seen = len(supervisor.lines)
            last = app.remote("until_killed").enqueue_sync()
            victim = supervisor.says("BEGUN", after=seen).split()[-1]
            os.kill(children[victim], signal.SIGKILL)
            assert last.result_sync(PATIENCE_S) == "recovered"
            within(PATIENCE_S, lambda n=killed: told(url).get(attempts("until_killed")) == n)
            within(PATIENCE_S, lambda n=killed: told(url)[attempts("add")] == 20 * n)
            children = both(app)
        supervisor.send(signal.SIGTERM)
        assert supervisor.ends() == 0


def test_children_that_hang_are_not_ready_and_late(project: Project, app: App) -> None:
    with project.start(*SERVED, "-p", "2") as supervisor:
        url = url_of(supervisor)
        children = both(app)
        within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)
        for pid in children.values():
            os.kill(pid, signal.SIGSTOP)
        try:
            # Until both are silent for too long, one may tell what it said last: not joined yet.
            why = r"no worker process does: it has not reported for \d+ s\n"
            within(PATIENCE_S, lambda: re.fullmatch(why, read(url, "/readyz").text))
            assert read(url, "/readyz").status == 503
            lag = told(url)["rqueue_worker_event_loop_lag_seconds"]
        finally:
            for pid in children.values():
                os.kill(pid, signal.SIGCONT)
        within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)
        supervisor.send(signal.SIGTERM)
        assert supervisor.ends() == 0
    assert lag > 2


@pytest.mark.parametrize("processes", [(), ("-p", "2")], ids=["one", "two"])
def test_a_worker_that_starts_without_redis_is_not_ready_and_waits(
    tmp_path: Path, namespace: str, processes: tuple[str, ...]
) -> None:
    with Server("valkey9", tcp=True) as server:
        project = Project(tmp_path, server.url, namespace)
        (tmp_path / "tasks.py").write_text(TASKS)
        app = App(server.url, namespace=namespace)
        server.kill()
        with project.start(*SERVED, *processes) as worker:
            worker.says("does not answer yet")
            url = url_of(worker)
            within(PATIENCE_S, lambda: read(url, "/startupz").status == 200)
            assert [read(url, page).status for page in ("/livez", "/readyz")] == [200, 503]

            server.restart()

            assert app.remote("add").enqueue_sync(1).result_sync(PATIENCE_S) == 3
            within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)
            worker.send(signal.SIGTERM)
            assert worker.ends() == 0
        app.close_sync()


def test_a_child_that_has_done_enough_is_replaced_and_that_is_counted(
    project: Project, app: App
) -> None:
    with project.start(*SERVED, "-p", "2", "--max-jobs", "5") as supervisor:
        url = url_of(supervisor)
        for job in app.enqueue_many_sync(app.remote("add").call(n) for n in range(40)):
            job.result_sync(PATIENCE_S)
        within(PATIENCE_S, lambda: told(url).get(attempts("add")) == 40)
        restarts = 'rqueue_worker_child_restarts_total{{reason="{}"}}'
        within(PATIENCE_S, lambda: told(url)[restarts.format("max_jobs")] >= 1)
        crashes = told(url)[restarts.format("crash")]
        supervisor.send(signal.SIGTERM)
        assert supervisor.ends() == 0
    assert crashes == 0
    assert app.workers_sync.list() == {}


def test_a_child_that_has_no_room_to_run_anything_is_not_started_over_and_over(
    project: Project,
) -> None:
    with project.start("worker", "-p", "2", "--max-memory", "1MiB") as supervisor:
        supervisor.says("left for max_memory before it had run any job", "starts in 0.2 s")
        supervisor.says("starts in 0.4 s")


def test_a_burst_of_children_that_have_done_enough_goes_on_until_all_is_done(
    project: Project, app: App
) -> None:
    jobs = app.enqueue_many_sync(app.remote("add").call(n) for n in range(60))
    with project.start("worker", "--burst", "-p", "2", "-c", "2", "--max-jobs", "5") as supervisor:
        assert supervisor.ends() == 0

    assert [job.info_sync().state for job in jobs] == ["succeeded"] * 60


def test_without_children_at_work_a_supervisor_is_alive_and_not_ready(
    project: Project, app: App
) -> None:
    job = app.remote("until_told").enqueue_sync()
    with project.start(*SERVED, "-p", "2") as supervisor:
        url = url_of(supervisor)
        supervisor.says("BEGUN")
        within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)
        supervisor.send(signal.SIGTERM)
        supervisor.says("SIGTERM")

        assert read(url, "/readyz")[::2] == (503, "it was told to stop, and takes no more jobs\n")
        assert read(url, "/livez")[::2] == (200, "ok\n")
        (project.folder / "go").touch()
        assert supervisor.ends() == 0
    assert job.result_sync(PATIENCE_S) == "done"


def test_a_scheduler_tells_probes_how_it_is(project: Project) -> None:
    words = ("scheduler", "--metrics-host", "127.0.0.1", "--metrics-port", "0")
    with project.start(*words) as scheduler:
        url = url_of(scheduler)
        within(PATIENCE_S, lambda: read(url, "/readyz").status == 200)
        found = [read(url, page).status for page in ("/livez", "/startupz", "/metrics")]
        scheduler.send(signal.SIGTERM)
        assert scheduler.ends() == 0
    assert found == [200] * 3
