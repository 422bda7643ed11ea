"""Every test is run by ``make test`` or by ``make faults``."""

from __future__ import annotations

import tomllib

from tests.house.source import ROOT


def test_every_folder_with_tests_is_one_that_is_run() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run = {*told["tool"]["pytest"]["ini_options"]["testpaths"], "tests/faults"}
    folders = {file.parent.relative_to(ROOT) for file in (ROOT / "tests").rglob("test_*.py")}

    assert {"/".join(folder.parts[:2]) for folder in folders} == run
