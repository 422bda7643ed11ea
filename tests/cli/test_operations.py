"""``docs/operations.md`` and the doctor agree, and every command that either names is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from redis import Redis

from rqueue.cli import main
from rqueue.doctor.report import CHECKS
from tests.support.clients import client
from tests.support.servers import Server

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "operations.md").read_text()
DOCTOR = "\n".join(file.read_text() for file in sorted((ROOT / "rqueue" / "doctor").glob("*.py")))
TO_SERVER = re.compile(
    r"\b(?:CONFIG (?:SET [a-z-]+ (?:'[^']*'|[\w]+)|RESETSTAT)|SLOWLOG (?:GET \d+|RESET)|"
    r"LATENCY DOCTOR|MEMORY PURGE|INFO [a-z]+|ACL LOG|LASTSAVE)\b"
)
# A word of a command: no punctuation but what options and names have.
TO_SHELL = re.compile(r"\brqueue ((?:[a-z]+)(?: (?:--?[a-z][a-z-]*|[A-Za-z0-9_{}-]+))*)")


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Server() as server, client(server.url) as redis:
        yield redis


def shell_commands(text: str) -> list[str]:
    """In a document those in backticks and code blocks, in the doctor those in its sentences."""
    return sorted({found for found in TO_SHELL.findall(text) if found.split()[0] in NAMES})


NAMES = set(main.list_commands(click.Context(main)))
FROM_DOC = shell_commands(
    "\n".join(re.findall(r"`(rqueue [^`]+)`|^(?:rqueue .*)$", DOC, re.MULTILINE))
)


def test_the_checklist_has_every_check_in_the_order_of_the_doctor() -> None:
    listed = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", DOC, re.MULTILINE)

    assert listed == [check.id for check in CHECKS]


def test_commands_for_the_shell_were_found() -> None:
    assert len(FROM_DOC) > 15
    assert len(shell_commands(DOCTOR)) > 8


@pytest.mark.parametrize("written", [*FROM_DOC, *shell_commands(DOCTOR)])
def test_a_command_for_the_shell_is_one(written: str) -> None:
    command: click.Command = main
    words = written.split()
    path = list[str]()
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"rqueue {written}: no {name}"
        command, path = found, [*path, name]
    options = {one for param in command.params for one in (*param.opts, *param.secondary_opts)}

    assert {word for word in words if word.startswith("-")} <= options


@pytest.mark.parametrize("command", sorted({*TO_SERVER.findall(DOC), *TO_SERVER.findall(DOCTOR)}))
def test_a_command_for_the_server_is_one(redis: Redis, command: str) -> None:
    words = [one.strip("'") for one in re.findall(r"'[^']*'|\S+", command)]

    assert redis.execute_command(*words) is not None
