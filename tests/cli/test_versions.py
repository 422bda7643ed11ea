"""Versions of arguments on the command line: sent, shown, and refused before a worker starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rqueue import App
from tests.cli.commands import Project, Ran

Cli = Callable[..., Ran]
TASKS = """
from rqueue import App, Sensitive

app = App()

@app.task(version=2, queue="bills")
async def charge(user: str, amount: float) -> str:
    return f"{user} {amount}"

"""
UPGRADE = """
@charge.upgrade(1)
def from_cents(user: str, cents: int, note: Sensitive[str] = "") -> dict[str, object]:
    return {"user": user, "amount": cents / 100}
"""


@pytest.fixture
def here(project: Project, modules: Path, cli: Cli) -> Cli:
    """Commands in a folder with the code above."""
    (modules / "tasks.py").write_text(TASKS + UPGRADE)

    def call(*words: str) -> Ran:
        sys.modules.pop("tasks", None)
        return cli(*words)

    return call


def test_a_job_is_sent_with_the_version_of_its_code_or_with_another(
    here: Cli, project: Project
) -> None:
    sent = [
        here("enqueue", "charge", "ada", "2.5", "--id", "now"),
        here("enqueue", "charge", "ada", "250", "--id", "old", "--version", "1"),
        here("enqueue", "charge", "ada", "2.5", "--id", "blind", "--by-name", "-q", "bills",
             "--version", "2"),
        here("enqueue", "charge", "ada", "250", "--id", "blind-old", "--by-name", "-q", "bills"),
    ]  # fmt: skip
    burst = project.run("worker", "--burst", "--no-banner")

    assert ([one.code for one in sent], burst.code) == ([0, 0, 0, 0], 0)
    results = [here("job", "result", one).out for one in ("now", "old", "blind", "blind-old")]
    assert results == ["ada 2.5\n"] * 4


@pytest.mark.parametrize("version", ["0", "1000001", "one"])
def test_a_version_that_is_none_is_not_sent(here: Cli, app: App, version: str) -> None:
    wrong = here("enqueue", "charge", "ada", "1", "--version", version)

    assert (wrong.code, "--version" in wrong.err) == (2, True)
    assert app.inspector_sync.queues() == []


def test_a_job_is_shown_with_its_version_if_that_is_not_the_first(here: Cli) -> None:
    here("enqueue", "charge", "ada", "2.5", "--id", "now", "--in", "1h")
    here("enqueue", "charge", "ada", "250", "--id", "old", "--in", "1h", "--version", "1")

    assert "version    2\n" in here("job", "show", "now").out
    assert "version" not in here("job", "show", "old").out
    shown = [here("job", "show", one, "--json").data for one in ("now", "old")]
    told = [(one["version"], one["args"]) for one in shown]
    assert told == [(2, ["ada", 2.5]), (1, ["ada", 250])]


def test_what_the_old_release_hid_is_not_shown(here: Cli) -> None:
    here("enqueue", "charge", "ada", "250", "canary", "--id", "old", "--version", "1")

    told = [here("job", "show", "old", "-A", "tasks:app", *more).out for more in ((), ("--json",))]

    assert all('"ada"' in one and "canary" not in one for one in told)


@pytest.mark.parametrize("more", [(), ("-p", "2"), ("--no-banner",)])
def test_a_worker_is_refused_while_a_version_is_missing(
    here: Cli, modules: Path, more: tuple[str, ...]
) -> None:
    (modules / "tasks.py").write_text(TASKS)

    refused = here("worker", "tasks:app", *more)

    assert (refused.code, refused.out) == (2, "")
    assert "Error: task 'charge' has version 2, and nothing lifts calls of version 1" in refused.err
