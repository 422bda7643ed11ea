"""Without its mechanism the test of a promise turns red: the tests see what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.mutants import MUTANT, MUTANTS

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mechanism_that_is_taken_out_is_missed(name: str) -> None:
    mutant = MUTANTS[name]
    if mutant.red.startswith("F"):
        chosen = ["tests/faults/test_scenarios.py", "-k", f"{mutant.red}-valkey9"]
    else:
        chosen = [mutant.red, "-k", "not redis7 and not redis62"]

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.faults.mutants",
         "-p", "no:cacheprovider", *chosen],
        cwd=ROOT,
        env={**os.environ, MUTANT: name, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert ran.returncode == 1, f"{mutant.mechanism}: nothing noticed\n{ran.stdout[-3000:]}"
    assert "FAILED tests/" in ran.stdout
    assert mutant.sign in ran.stdout
