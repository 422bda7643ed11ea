"""Every scenario on every server; ``make faults`` runs them small, ``make faults-long`` at length.

``FAULTS_SEED`` repeats a run, ``FAULTS_SIZE`` makes it smaller or larger.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.run import run
from tests.faults.scenario import load

pytestmark = pytest.mark.fault

SCENARIOS = load()
LONGEST = "poison"
"""A minute of its own that nothing shortens; begun last, all others would wait for it."""
RUNS = sorted(
    ((name, flavour) for name, one in SCENARIOS.items() for flavour in one.flavours),
    key=lambda run: run[0] != LONGEST,
)


@pytest.mark.parametrize(("name", "flavour"), RUNS)
def test_what_is_promised_holds(name: str, flavour: str, tmp_path: Path) -> None:
    outcome = run(SCENARIOS[name], flavour, ledger.seed(), tmp_path, ledger.size())

    ledger.note(**outcome.numbers)
    assert not outcome.violations, str(outcome)
