"""``rqueue enqueue`` where the code is at hand: it checks, it knows the queue, it waits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from rqueue.app import App
from rqueue.cli.enqueue import DURABILITIES
from rqueue.durability import Mode
from tests.cli.commands import Project, Ran

Cli = Callable[..., Ran]


@pytest.fixture
def here(project: Project, modules: Path, cli: Cli) -> Cli:
    """Commands in the project's folder, each with the code as it is then."""
    assert project.folder == modules

    def call(*words: str) -> Ran:
        sys.modules.pop("tasks", None)
        return cli(*words)

    return call


def test_the_result_is_waited_for_and_printed(here: Cli, project: Project) -> None:
    with project.start("worker", "--no-banner"):
        done = here("enqueue", "add", "1", "2", "--wait", "--json")
        assert (done.code, done.data["state"], done.data["result"]) == (0, "succeeded", 3)
        text = here("enqueue", "echo", "hello", "--wait=20s")
        assert (text.code, text.out) == (0, "hello\n")
        failed = here("enqueue", "bad", "--wait")
        assert (failed.code, failed.out) == (1, "")
        assert "is dead (failed): ValueError: no" in failed.err
        told = here("enqueue", "bad", "--wait", "--json")
        assert (told.code, told.data["state"]) == (1, "dead")
        assert told.data["error"]["type"] == "ValueError"


def test_waiting_in_vain_is_exit_code_5(here: Cli) -> None:
    assert here("enqueue", "add", "1", "--wait=0.05s").code == 5


def test_somebody_at_a_terminal_is_not_kept_waiting_for_a_redis_that_is_not_there(
    here: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried_for: list[float] = []

    def without_pauses(seconds: float, _began: float) -> Iterator[float]:
        tried_for.append(seconds)
        return iter(())

    monkeypatch.setattr("rqueue.store.transport.pauses", without_pauses)
    nowhere = ("-u", "redis://127.0.0.1:1/0")

    codes = [here("enqueue", "add", "1", *nowhere, *more).code for more in ((), ("--by-name",))]

    assert (codes, tried_for) == ([4, 4], [2.0, 2.0])


def test_arguments_are_checked_before_anything_is_sent(here: Cli, app: App) -> None:
    wrong = here("enqueue", "add", "one")

    assert (wrong.code, wrong.out) == (2, "")
    assert "Expected `int`, got `str`" in wrong.err
    assert app.inspector_sync.queues() == []


def test_an_unknown_task_is_not_sent_but_by_name(here: Cli, app: App) -> None:
    unknown = here("enqueue", "addd", "1")
    assert (unknown.code, unknown.out) == (3, "")
    assert "Did you mean add" in unknown.err

    assert here("enqueue", "addd", "1", "--by-name", "-q", "other").code == 0

    assert [queue.name for queue in app.inspector_sync.queues()] == ["other"]


def test_a_job_goes_to_the_queue_of_its_task(here: Cli) -> None:
    assert here("enqueue", "sorted_mail", "--json").data["queue"] == "mail"


def test_a_durability_is_waited_for(here: Cli, app: App) -> None:
    local = here("enqueue", "add", "1", "--durability", "local", "--json")
    assert (local.code, local.data["durability"]) == (0, "local")

    alone = here("enqueue", "add", "1", "--durability", "replicated", "--id", "x")
    assert (alone.code, alone.out) == (4, "")
    assert "job 'x': 0 of 1 replicas had the enqueue in time" in alone.err
    assert app.job("x").info_sync().state == "queued"
    two = here("enqueue", "add", "1", "--durability", "replicated", "--replicas", "2")
    assert (two.code, "0 of 2 replicas" in two.err) == (4, True)


def test_a_durability_that_makes_no_sense_is_not_sent(here: Cli, app: App) -> None:
    for words, said in {
        ("--durability", "disk"): "'disk' is not one of 'local', 'fsync', 'replicated'",
        ("--replicas", "2"): "--replicas goes with --durability replicated",
        ("--durability", "fsync", "--replicas", "2"): "goes with --durability replicated",
        ("--durability", "replicated", "--replicas", "0"): "replicas 0 must be a whole number",
    }.items():
        wrong = here("enqueue", "add", "1", *words)
        assert (wrong.code, said in wrong.err) == (2, True), wrong.err
    assert app.inspector_sync.queues() == []
    assert get_args(Mode) == DURABILITIES


def test_code_that_is_broken_is_not_passed_over(here: Cli, modules: Path) -> None:
    (modules / "tasks.py").write_text("from rqueue import App\n1 / 0\n")

    broken = here("enqueue", "add", "1")

    assert (broken.code, "ZeroDivisionError" in broken.err) == (2, True)
    assert here("enqueue", "add", "1", "--by-name").code == 0
