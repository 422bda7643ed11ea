"""What the command line does not show: sensitive arguments, and what it has no keys for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rqueue import App, Encrypted, Retry, Sensitive, Signed, Worker, WorkerConfig
from rqueue.protection import PLAIN, Protection
from tests.cli.commands import PATIENCE_S, Project, Ran

Cli = Callable[..., Ran]
CANARY = "canary-4711"
KEYS = {"2026-11": b"k" * 32}
TASKS = """
from rqueue import App, Encrypted, Sensitive
import enum

app = App(protection=Encrypted({"2026-11": b"k" * 32}, current="2026-11"))

class Colour(enum.Enum):
    RED = "red"

@app.task
async def paint(user: str, colour: Sensitive[Colour]) -> None: ...
"""


async def log_in(user: str, password: Sensitive[str], *, pin: Sensitive[int] = 0) -> str:
    if user == "eve":
        raise PermissionError(f"{user} is not {password} {pin}")
    return user


@pytest.fixture
def send(valkey_url: str, namespace: str) -> Iterator[Callable[..., None]]:
    """Send a job, and run what is due."""
    apps: list[App] = []

    def call(user: str, protection: Protection = PLAIN, **options: Any) -> None:
        app = App(valkey_url, namespace=namespace, protection=protection)
        apps.append(app)
        task = app.task(retry=Retry(max_attempts=1))(log_in)
        task.options(job_id="x", **options).enqueue_sync(user, CANARY, pin=471147)
        asyncio.run(work(valkey_url, namespace, protection))

    yield call
    for app in apps:
        app.close_sync()


async def work(url: str, namespace: str, protection: Protection) -> None:
    app = App(url, namespace=namespace, protection=protection)
    app.task(retry=Retry(max_attempts=1))(log_in)
    async with asyncio.timeout(PATIENCE_S):
        await Worker(app, WorkerConfig(burst=True)).run()
    await app.close()


def spoken(cli: Cli, *commands: tuple[str, ...]) -> str:
    """All that these commands say, as text and as JSON."""
    ran = [cli(*words, *more) for words in commands for more in ((), ("--json",))]
    return "".join(one.out + one.err for one in ran)


def test_sensitive_arguments_of_a_waiting_job_are_not_shown(
    cli: Cli, send: Callable[..., None]
) -> None:
    send("ada", delay=600)

    shown = cli("job", "show", "x", "--json").data
    assert (shown["args"], shown["kwargs"]) == (["ada", "[redacted]"], {"pin": "[redacted]"})
    assert 'arguments  "ada", "[redacted]", pin="[redacted]"' in cli("job", "show", "x").out
    told = spoken(cli, ("job", "show", "x"), ("job", "wait", "x", "--timeout", "10ms"))
    assert CANARY not in told
    assert "471147" not in told


def test_sensitive_arguments_of_a_dead_job_are_not_shown(
    cli: Cli, send: Callable[..., None]
) -> None:
    send("eve")

    told = spoken(
        cli, ("job", "show", "x"), ("dead", "show", "x"), ("dead", "list"), ("job", "result", "x"),
    )  # fmt: skip
    assert "eve is not [redacted] [redacted]" in told
    assert '"eve", "[redacted]", pin="[redacted]"' in told
    assert CANARY not in told
    assert "471147" not in told


@pytest.mark.parametrize("kind", [Signed, Encrypted])
def test_without_keys_a_protected_job_is_shown_without_its_content(
    cli: Cli, send: Callable[..., None], kind: Any
) -> None:
    send("eve", kind(KEYS, current="2026-11"))

    shown = cli("dead", "show", "x", "--json").data
    assert (shown["args"], shown["kwargs"], shown["protected"]) == ([], {}, ["envelope"])
    assert [one["type"] for one in shown["errors"]] == ["(protected)"]
    assert "arguments  (protected)\n" in cli("dead", "show", "x").out
    told = spoken(cli, ("job", "show", "x"), ("dead", "list"), ("job", "result", "x"))
    assert "(protected)" in told
    assert "eve" not in told


@pytest.mark.parametrize("kind", [Signed, Encrypted])
def test_without_keys_a_protected_result_is_not_shown(
    cli: Cli, send: Callable[..., None], kind: Any
) -> None:
    send("ada", kind(KEYS, current="2026-11"))

    assert cli("job", "show", "x", "--json").data["protected"] == ["result"]
    assert "result    (protected)\n" in cli("job", "show", "x").out
    asked = cli("job", "result", "x")
    assert (asked.code, asked.out) == (1, "")
    assert "the app has no keys" in asked.err


def test_with_the_keys_of_an_app_a_job_is_shown(
    project: Project, modules: Path, send: Callable[..., None]
) -> None:
    (modules / "tasks.py").write_text(TASKS)
    send("ada", Encrypted(KEYS, current="2026-11"))

    shown = project.run("job", "show", "x", "--json", "-A", "tasks")

    assert (shown.data["result"], shown.data["protected"]) == ("ada", [])
    assert project.run("job", "result", "x", "-A", "tasks").out == "ada\n"


def test_with_the_code_at_hand_a_call_that_was_sent_by_name_hides_what_is_sensitive(
    project: Project, modules: Path
) -> None:
    (modules / "tasks.py").write_text(TASKS)
    keys = Encrypted(KEYS, current="2026-11")
    app = App(project.url, namespace=project.namespace, protection=keys)
    app.remote("paint").options(job_id="x").enqueue_sync("ada", CANARY)
    app.close_sync()
    project.run("worker", "--burst", "-A", "tasks")

    told = [
        project.run(*words, *more, "-A", "tasks")
        for words in (("job", "show", "x"), ("dead", "show", "x"), ("dead", "list"))
        for more in ((), ("--json",))
    ]

    shown = [one.data for one in told if one.out.startswith(("{", "["))]
    assert [one["args"] for one in (shown[0], shown[1], *shown[2])] == [["ada", "[redacted]"]] * 3
    assert CANARY not in "".join(one.out + one.err for one in told)


def test_a_refused_argument_is_not_shown(project: Project, modules: Path) -> None:
    (modules / "tasks.py").write_text(TASKS)

    refused = project.run("enqueue", "paint", "ada", CANARY)

    assert (refused.code, refused.out) == (2, "")
    assert "Invalid enum value '[redacted]'" in refused.err
    assert CANARY not in refused.err


def test_a_named_argument_that_cannot_be_read_is_not_shown(cli: Cli) -> None:
    refused = cli("enqueue", "paint", "-k", CANARY)

    assert (refused.code, "-k takes NAME=VALUE" in refused.err) == (2, True)
    assert CANARY not in refused.err
