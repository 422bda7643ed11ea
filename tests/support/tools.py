"""Programs that check what is deployed; where one is missing, its tests are left out or fail."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRE = "RQUEUE_REQUIRE_TOOLS"
"""Names, with commas in between: missing ones fail the tests that need them."""


def tool(name: str) -> str:
    """Where it is; else the test is skipped, or fails where the tool is required."""
    found = shutil.which(name)
    return found or _missing(name)


def package(name: str) -> None:
    """The same for a tool that is a Python package."""
    if importlib.util.find_spec(name) is None:
        _missing(name)


def _missing(name: str) -> NoReturn:
    if name in os.environ.get(REQUIRE, "").split(","):
        pytest.fail(f"{name} is required and not installed")
    pytest.skip(f"{name} is not installed")


def said(words: Sequence[str], folder: Path | None = None, text: str | None = None) -> str:
    """What a program says; it must end well."""
    ran = subprocess.run(
        list(words), cwd=folder, input=text, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
    return ran.stdout + ran.stderr
