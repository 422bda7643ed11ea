"""Imports go down, never up and never round; the floors stand in pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.house.source import ROOT, Source, sources


def test_imports_keep_to_the_floors() -> None:
    # The command, not its Python API: that one changes sys.path and the logging of this process.
    command = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [command, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = sources("rqueue")
    names = {module.name for module in modules}
    graph = {module.name: set(imported(module, names)) - {module.name} for module in modules}

    assert circle(graph) == []


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def imported(module: Source, names: set[str]) -> Iterator[str]:
    """The modules of ours that a module names, be it in a function or under TYPE_CHECKING.

    ``from rqueue.store import keys`` names the module ``rqueue.store.keys`` and not its package,
    although Python runs the package first: a package may gather what its modules hold.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        if isinstance(node, ast.ImportFrom):
            origin = absolute(module, node)
            for alias in node.names:
                member = f"{origin}.{alias.name}"
                if member in names or origin in names:
                    yield member if member in names else origin


def absolute(module: Source, node: ast.ImportFrom) -> str:
    """The dotted name behind ``from x``, ``from .x`` and ``from .``."""
    if node.level == 0:
        return node.module or ""
    climbed = node.level - module.is_package
    package = module.name.split(".")[: -climbed or None]
    return ".".join([*package, *([node.module] if node.module else [])])
