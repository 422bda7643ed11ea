"""``rqueue worker -p N``: children that are killed come back, and their jobs at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from rqueue.app import App
from tests.cli.commands import PATIENCE_S, Project, Ran, Running
from tests.support.processes import is_running
from tests.support.waiting import within

LONG_LEASE = ("--lease", "60s")


def workers(app: App) -> dict[str, int]:
    """Process id of each worker."""
    return {name: card["pid"] for name, card in app.workers_sync.list().items()}


def both(app: App) -> dict[str, int]:
    return within(PATIENCE_S, lambda: found if len(found := workers(app)) == 2 else None) or {}


def begun(supervisor: Running) -> str:
    return supervisor.says("BEGUN").split()[-1]


def test_a_killed_child_is_fenced_at_once_and_replaced(project: Project, app: App) -> None:
    job = app.remote("until_killed").enqueue_sync()
    with project.start("worker", "-p", "2", *LONG_LEASE) as supervisor:
        children = both(app)
        victim = children[begun(supervisor)]

        os.kill(victim, signal.SIGKILL)

        # Half of the lease that a reaper would wait for.
        assert job.result_sync(PATIENCE_S) == "recovered"
        supervisor.says(f"pid={victim} was ended by SIGKILL")
        assert victim not in both(app).values()
        supervisor.send(signal.SIGTERM)
        assert supervisor.ends() == 0
    assert workers(app) == {}
    assert job.info_sync().crashes == 1


def test_what_scales_counts_all_children_as_one_replica(
    project: Project, app: App, cli: Callable[..., Ran]
) -> None:
    with project.start("worker", "-p", "2", "-c", "7", "-q", "mail"):
        both(app)
        (asked,) = cli("scale", "mail", "--json").data

    assert (asked["slots"], asked["workers"]) == (14, 2)


def test_the_second_signal_reaches_the_children(project: Project, app: App) -> None:
    job = app.remote("until_killed").enqueue_sync()
    with project.start("worker", "-p", "2", "--grace", "1h") as supervisor:
        begun(supervisor)
        both(app)
        supervisor.send(signal.SIGINT)
        # Both have heard of the first: two signals that nobody has taken up are one to a process.
        told = "SIGTERM: takes no more jobs"
        within(PATIENCE_S, lambda: sum(told in one for one in supervisor.lines) == 2)

        supervisor.send(signal.SIGINT)

        assert supervisor.ends() == 1
    assert job.info_sync().state == "queued"


def test_children_stop_when_their_supervisor_dies(project: Project, app: App) -> None:
    with project.start("worker", "-p", "2") as supervisor:
        pids = list(both(app).values())

        supervisor.send(signal.SIGKILL)

        within(PATIENCE_S, lambda: workers(app) == {})
        for pid in pids:
            within(PATIENCE_S, lambda pid=pid: not is_running(pid))


def test_a_burst_of_several_processes_ends(project: Project, app: App) -> None:
    jobs = app.enqueue_many_sync(app.remote("add").call(n) for n in range(50))

    ran = project.run("worker", "-p", "2", "--burst")

    assert (ran.code, ran.err.count("ended")) == (0, 0)
    assert [job.result_sync(0) for job in jobs] == [n + 2 for n in range(50)]


@pytest.mark.parametrize("name", ["RQUEUE_WORKER_PROCESSES", "RQUEUE_WORKER_BURST"])
def test_variables_of_the_supervisor_do_not_reach_its_children(
    project: Project, app: App, name: str
) -> None:
    value = {"RQUEUE_WORKER_PROCESSES": "2", "RQUEUE_WORKER_BURST": "true"}[name]
    more = () if name == "RQUEUE_WORKER_PROCESSES" else ("-p", "2")
    with project.start("worker", *more, env={name: value}) as supervisor:
        if name == "RQUEUE_WORKER_PROCESSES":
            assert len(both(app)) == 2
            supervisor.send(signal.SIGTERM)
        assert supervisor.ends() == 0
