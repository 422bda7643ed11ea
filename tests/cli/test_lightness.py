"""What a command does not need, it does not import."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module

import pytest

import rqueue
from rqueue.cli import COMMANDS, main
from tests.cli.commands import ROOT

HEAVY = ("redis", "hiredis", "msgspec", "rich", "asyncio", "croniter", "pebble", "watchfiles")


def imported_by(*words: str) -> set[str]:
    code = (
        "import sys\n"
        "from rqueue.cli import main\n"
        f"try: main({list(words)!r})\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(ran.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    imported = imported_by("--help")

    assert imported.isdisjoint(HEAVY)
    assert not {name for name in imported if name.startswith("rqueue.store")}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    assert imported_by(command, "--help").isdisjoint(HEAVY)


def test_every_command_can_be_imported_and_has_help() -> None:
    for module, attribute in (where.split(":") for where, _ in COMMANDS.values()):
        assert getattr(import_module(f"rqueue.cli.{module}"), attribute).help
    assert sorted(COMMANDS) == sorted(main.list_commands(main.make_context("rqueue", ["ping"])))


def test_the_public_names_come_from_where_type_checkers_see_them() -> None:
    tree = ast.parse((ROOT / "rqueue" / "__init__.py").read_text())
    seen = {
        alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rqueue.")
        for alias in node.names
    }

    assert set(rqueue.__all__) == {*seen, "__version__"}
    for name, module in seen.items():
        assert getattr(rqueue, name) is getattr(import_module(module), name)
        assert vars(rqueue)["_HOME_OF"][name] == module.removeprefix("rqueue.")


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Apq'"):
        rqueue.Apq  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]
