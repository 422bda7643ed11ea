"""A project to run commands in, and the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from rqueue.app import App
from rqueue.cli import main
from tests.cli.commands import TASKS, Project, Ran


@pytest.fixture
def project(tmp_path: Path, valkey_url: str, namespace: str) -> Project:
    """A folder with the tasks above."""
    (tmp_path / "tasks.py").write_text(TASKS)
    return Project(tmp_path, valkey_url, namespace)


@pytest.fixture
def app(valkey_url: str, namespace: str) -> Iterator[App]:
    """A producer without code, on the same Redis and namespace as the project."""
    app = App(valkey_url, namespace=namespace)
    yield app
    app.close_sync()


@pytest.fixture
def cli(valkey_url: str, namespace: str) -> Callable[..., Ran]:
    """A command that needs no code, run in this process."""

    def call(*words: str) -> Ran:
        env = {"RQUEUE_URL": valkey_url, "RQUEUE_NAMESPACE": namespace, "RQUEUE_APP": None}
        ran = CliRunner().invoke(main, words, env=env, prog_name="rqueue")
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return Ran(ran.exit_code, ran.stdout, ran.stderr)

    return call


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
