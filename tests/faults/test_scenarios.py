"""Every scenario in its small size. ``make faults`` runs them; ``make faults-long`` the large ones.

``FAULTS_SEED`` repeats a run, ``FAULTS_SIZE`` makes it smaller or larger.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from tests.faults.run import run
from tests.faults.scenario import load

pytestmark = pytest.mark.fault

SCENARIOS = load()
RUNS = [(name, flavour) for name, one in SCENARIOS.items() for flavour in one.flavours]


@pytest.mark.parametrize(("name", "flavour"), RUNS)
def test_what_is_promised_holds(name: str, flavour: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(1 << 20)))

    size = float(os.environ.get("FAULTS_SIZE", "1"))

    outcome = run(SCENARIOS[name], flavour, seed, tmp_path, size)

    sys.stdout.write(f"{outcome.numbers}\n")  # shown with a failure, or with -rP
    assert not outcome.violations, str(outcome)
