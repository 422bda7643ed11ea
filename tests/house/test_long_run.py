"""The long run of the faults leaves none of them out."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.plan import PARTS, plan
from tests.faults.scenario import TWO, load

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "tests" / "faults"
MUTANTS = "test_mutants.py"
"""Plays the others; which server misses a mechanism makes no difference."""
SMALL_ONLY = {MUTANTS, "test_loading.py"}
"""What does not become truer by repetition."""


@pytest.fixture(scope="module")
def tests() -> list[str]:
    """Every test of the faults, as ``file.py::name[of its case]``."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, str(FAULTS)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [line.rpartition("faults/")[2] for line in ran.stdout.splitlines() if "::" in line]


def test_every_scenario_and_every_file_of_faults_is_played() -> None:
    scenarios = {part.fault for part in PARTS if not part.file}
    files = {part.file for part in PARTS if part.file} | {"test_scenarios.py"} | SMALL_ONLY

    assert scenarios == load().keys()
    assert files == {file.name for file in FAULTS.glob("test_*.py")}


def test_a_run_is_known_by_its_name() -> None:
    names = Counter(run.name for run in plan())

    assert [name for name, count in names.items() if count > 1] == []


def test_every_file_of_faults_knows_valkey_and_redis_alike(tests: list[str]) -> None:
    files = Counter(one.partition("::")[0] for one in tests)
    known = {
        file: [sum(one.startswith(file) and flavour in one for one in tests) for flavour in TWO]
        for file in files.keys() - {MUTANTS}
    }

    assert {
        file for file, (valkey, redis) in known.items() if not valkey or valkey != redis
    } == set()


def test_every_run_has_tests_to_play(tests: list[str]) -> None:
    idle = [
        run.name
        for run in plan()
        if not any(
            one.startswith(run.file) and all(word in one for word in run.chosen.split(" and "))
            for one in tests
        )
    ]

    assert idle == []
