"""The source tree: which files there are, and how urgent each is."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from rqueue.demo.failure import DemoFailed
from rqueue.names import Priority

_FOREIGN = frozenset({"__pycache__", "site-packages", "dist-packages", "node_modules"})
_TESTS = frozenset({"test", "tests", "idle_test"})


def source_root(directory: Path | None) -> Path:
    """The directory to index; the standard library unless one is given.

    Raises:
        DemoFailed: there is no such directory.
    """
    if directory is None:
        directory = Path(sysconfig.get_path("stdlib"))
        if not directory.is_dir():
            raise DemoFailed(
                f"this interpreter's standard library is not a directory of files ({directory}); "
                "name a source tree: rqueue demo DIR",
                exit_code=2,
            )
    if not directory.is_dir():
        raise DemoFailed(f"{directory} is not a directory", exit_code=2)
    return directory.resolve()


def python_files(root: Path) -> list[Path]:
    """Every ``.py`` file below, relative and sorted.

    Left out: hidden directories, installed packages, and names that are not Unicode, which no
    argument of a job could carry.

    Raises:
        DemoFailed: there is none.
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _FOREIGN and name[0] != "."]
        below = Path(parent).relative_to(root)
        found += [below / name for name in names if name.endswith(".py") and _is_text(name)]
    found = sorted(path for path in found if _is_text(str(path)))
    if not found:
        raise DemoFailed(
            f"no .py file under {root}; name a source tree: rqueue demo DIR", exit_code=2
        )
    return found


def priority_of(path: Path) -> Priority:
    """Packages first, tests last."""
    if path.name == "__init__.py":
        return "high"
    return "low" if _TESTS.intersection(path.parts) else "normal"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
