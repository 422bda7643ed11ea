# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""The examples of this folder are judged by pyright and mypy (``make types``), both strict.

A wrong use is marked with ``# type: ignore[code]``; where it is no error, the mark is one.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
EXAMPLES = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("test_"))
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]


def test_mypy_reads_this_folder_and_wants_no_mark_in_vain() -> None:
    mypy = SETTINGS["mypy"]

    assert "tests/typing" in mypy["files"]
    assert mypy["strict"] is True
    assert mypy.get("warn_unused_ignores", True)
    assert "exclude" not in mypy
    assert [one for one in mypy["overrides"] if one["module"] != "rqueue.*"] == []


def test_pyright_reads_this_folder() -> None:
    pyright = SETTINGS["pyright"]

    assert "tests" in pyright["include"]
    assert pyright.get("enableTypeIgnoreComments", True)
    assert not {"exclude", "ignore"} & pyright.keys()


def test_the_check_of_types_runs_both() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    target = makefile.partition("\ntypes:")[2].partition("\n\n")[0]

    assert re.findall(r"\$\(BIN\)/(\w+)$", target, re.MULTILINE) == ["pyright", "mypy"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_strict_and_wants_no_mark_in_vain(example: Path) -> None:
    first = example.read_text("utf-8").partition("\n")[0]

    assert first == "# pyright: strict, reportUnnecessaryTypeIgnoreComment=true"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_mark_says_which_error_it_stands_for(example: Path) -> None:
    marks = re.findall(r"#\s*(?:type|pyright):\s*ignore.*", example.read_text("utf-8"))

    assert marks
    assert [mark for mark in marks if not re.match(r"# type: ignore\[[a-z, -]+\]$", mark)] == []
