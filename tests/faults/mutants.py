"""Each mechanism taken out, one at a time, to see that a test turns red.

``RQUEUE_FAULTS_MUTANT`` names the one that is in force, in the tests' process and in all that they
start. As a plugin of pytest (``-p tests.faults.mutants``) this module puts it in force.
"""

from __future__ import annotations

import os

from tests.faults import mutants_of_modules, mutants_of_scripts
from tests.faults.mutant import Mutant

MUTANT = "RQUEUE_FAULTS_MUTANT"
MUTANTS: dict[str, Mutant] = {**mutants_of_scripts.MUTANTS, **mutants_of_modules.MUTANTS}


def apply_from_environment() -> None:
    name = os.environ.get(MUTANT)
    if name:
        MUTANTS[name].apply()


def pytest_configure() -> None:
    apply_from_environment()
