"""The long run of the faults leaves none of them out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.faults.plan import PARTS, plan
from tests.faults.scenario import load

FAULTS = Path(__file__).parents[1] / "faults"
SMALL_ONLY = {"test_mutants.py", "test_loading.py"}
"""What does not become truer by repetition."""


def test_every_scenario_and_every_file_of_faults_is_played() -> None:
    scenarios = {part.fault for part in PARTS if not part.file}
    files = {part.file for part in PARTS if part.file} | {"test_scenarios.py"} | SMALL_ONLY

    assert scenarios == load().keys()
    assert files == {file.name for file in FAULTS.glob("test_*.py")}


def test_a_run_is_known_by_its_name() -> None:
    names = Counter(run.name for run in plan())

    assert [name for name, count in names.items() if count > 1] == []
