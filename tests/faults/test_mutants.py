"""Without its mechanism the test of a promise turns red: the tests see what they are for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import ledger
from tests.faults.mutant import ANY, Mutant
from tests.faults.mutants import MUTANT, MUTANTS

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
_BROKEN = re.compile(r'"broken": (\[[^\]]*\])')
"""The invariants that a scenario found broken, in the numbers that it prints."""
GAMES = 5
"""Chaos need not meet what is missing in the first game: it must in one of these. Where one game is
certain to, a test of that moment stands beside it."""


@pytest.mark.parametrize("name", [name for name, one in MUTANTS.items() if not one.is_in_chaos])
def test_a_mechanism_that_is_taken_out_is_missed(name: str) -> None:
    mutant = MUTANTS[name]
    assert mutant.sign or "::" in mutant.red, "other tests of a file may fail for reasons of theirs"

    ran = _play(name, mutant.red, "-k", "not redis7 and not redis62")

    assert _is_missed(mutant, ran), f"{mutant.mechanism}: nothing noticed\n{ran.stdout[-3000:]}"


@pytest.mark.parametrize("name", [name for name, one in MUTANTS.items() if one.is_in_chaos])
def test_chaos_misses_a_mechanism_that_is_taken_out(name: str) -> None:
    mutant = MUTANTS[name]
    chosen = ("tests/faults/test_scenarios.py", "-k", f"{mutant.red}-valkey9")
    first = ledger.seed()
    seeds = range(first, first + GAMES)

    missed = any(_is_missed(mutant, _play(name, *chosen, seed=seed)) for seed in seeds)

    assert missed, f"{mutant.mechanism}: nothing noticed with the seeds {list(seeds)}"


def _play(name: str, *chosen: str, seed: int | None = None) -> subprocess.CompletedProcess[str]:
    seeded = {} if seed is None else {ledger.SEED: str(seed)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.faults.mutants",
         "-p", "no:cacheprovider", *chosen],
        cwd=ROOT,
        env={**os.environ, **seeded, MUTANT: name, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def _is_missed(mutant: Mutant, ran: subprocess.CompletedProcess[str]) -> bool:
    """Whether a test failed, and of what the mechanism prevents.

    Where chaos must notice it, no wait in vain is a notice, but a broken invariant.

    Raises:
        AssertionError: the tests could not be run.
    """
    assert ran.returncode in (0, 1), ran.stdout[-3000:] + ran.stderr[-3000:]
    if ran.returncode == 0 or "FAILED tests/" not in ran.stdout:
        return False
    if not mutant.is_in_chaos:
        return mutant.sign in ran.stdout
    broken = {one for told in _BROKEN.findall(ran.stdout) for one in json.loads(told)}
    return bool(broken) if mutant.sign == ANY else mutant.sign in broken
