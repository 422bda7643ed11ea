"""How large a run is, of which seed, and what it came to: the same for CI and for the long run."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

SEED = "FAULTS_SEED"
SIZE = "FAULTS_SIZE"
NUMBERS = "FAULTS_NUMBERS"
"""A file that numbers are appended to."""


def seed() -> int:
    """The seed that was asked for, or any; it is shown with a failure."""
    chosen = int(os.environ.get(SEED, random.randrange(1 << 20)))
    sys.stdout.write(f"{SEED}={chosen}\n")
    return chosen


def size() -> float:
    """How many times the small size."""
    return float(os.environ.get(SIZE, "1"))


def times(count: int) -> int:
    """So often in the small size."""
    return max(1, round(count * size()))


def note(**numbers: Any) -> None:
    """Keep what a run came to; shown with a failure, or with ``-rP``."""
    line = json.dumps(numbers) + "\n"
    sys.stdout.write(line)
    if NUMBERS in os.environ:
        with Path(os.environ[NUMBERS]).open("a") as file:
            file.write(line)


def read(path: Path) -> dict[str, Any]:
    """All that was noted into a file: numbers are added up, lists joined, the rest is the last."""
    told: dict[str, Any] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        for name, value in json.loads(line).items():
            is_sum = name in told and isinstance(value, int | float | list)
            told[name] = told[name] + value if is_sum else value
    return told
