"""The long run: every fault at length, or those that are named.
``python -m tests.faults [FOLDER [FAULT ...]]``

Each run is a test, played by a pytest of its own, and a line of ``FOLDER/runs.jsonl``; one that is
there is not played again, so a long run that was stopped goes on where it was. At the end a table
for ``docs/guarantees.md``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults import ledger
from tests.faults.plan import Run, plan
from tests.faults.table import table

ROOT = Path(__file__).parents[2]
BUDGET_S = 85 * 60
"""When no further run is begun."""
LANES = 3
"""Runs at once. Most wait most of the time; those that do not keep to the first lane."""
LONGEST_S = 20 * 60
"""What a run may take before its stacks are shown and it ends."""


class LongRun:
    """Runs that are not in the folder yet, several at once."""

    def __init__(self, folder: Path, runs: Sequence[Run]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "runs.jsonl"
        self.done: list[dict[str, Any]] = []
        if self.file.exists():
            self.done = [json.loads(line) for line in self.file.read_text().splitlines()]
        seen = {one["name"] for one in self.done}
        left = [run for run in runs if run.name not in seen]
        self._busy = deque(run for run in left if run.is_busy)
        self._idle = deque(run for run in left if not run.is_busy)
        self._lock = threading.Lock()
        self._end = time.monotonic() + BUDGET_S

    def play_all(self) -> None:
        with ThreadPoolExecutor(LANES) as pool:
            for lane in [pool.submit(self._play_lane, lane) for lane in range(LANES)]:
                lane.result()

    @property
    def left(self) -> int:
        """Runs for which there was no time."""
        return len(self._busy) + len(self._idle)

    def _play_lane(self, lane: int) -> None:
        for run in self._next_of(lane):
            told = play(run, self.folder / f"lane-{lane}")
            with self._lock:
                self.done.append(told)
                with self.file.open("a") as log:
                    log.write(json.dumps(told) + "\n")
                say(told)

    def _next_of(self, lane: int) -> Iterator[Run]:
        while time.monotonic() < self._end:
            with self._lock:
                own, other = (self._idle, self._busy) if lane else (self._busy, self._idle)
                if not (own or other):
                    return
                run = (own or other).popleft()
            yield run


def play(run: Run, folder: Path) -> dict[str, Any]:
    """One run; what it left is kept only if something did not hold."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    numbers = folder / "numbers.jsonl"
    command = [
        sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
        "-o", f"faulthandler_timeout={LONGEST_S}", "--basetemp", str(folder / "tests"),
        f"tests/faults/{run.file}", "-k", run.chosen,
    ]  # fmt: skip
    asked = {ledger.SEED: str(run.seed), ledger.SIZE: str(run.size), ledger.NUMBERS: str(numbers)}
    began = time.monotonic()
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    seconds = round(time.monotonic() - began, 1)
    passed = sum(map(int, re.findall(r"(\d+) passed", ran.stdout)))
    # Where a server is missing all is skipped: that proves nothing.
    has_failed = bool(ran.returncode) or not passed
    if has_failed:
        kept = folder.with_name(run.name.replace(" ", "-").replace(",", ""))
        shutil.rmtree(kept, ignore_errors=True)
        (folder / "output.txt").write_text(ran.stdout + ran.stderr)
        folder.rename(kept)
        numbers = kept / "numbers.jsonl"
    told = {
        "name": run.name,
        "fault": run.fault,
        "flavour": run.flavour,
        "seed": run.seed,
        "seconds": seconds,
        "failed": ran.stdout[-4000:] + ran.stderr[-2000:] if has_failed else "",
        "tests": passed,
        **ledger.read(numbers),
    }
    shutil.rmtree(folder, ignore_errors=True)
    return told


def say(told: dict[str, Any]) -> None:
    end = "FAILED" if told["failed"] else "ok"
    sys.stdout.write(f"{told['name']}: {end}, {told['seconds']} s\n{told['failed']}")
    sys.stdout.flush()


def main(folder: Path, faults: Sequence[str]) -> int:
    long = LongRun(folder, [run for run in plan() if not faults or run.fault in faults])
    long.play_all()
    sys.stdout.write(table(long.done))
    if long.left:
        sys.stdout.write(f"{long.left} runs are left: the same command goes on\n")
    return 1 if long.left or any(one["failed"] for one in long.done) else 0


if __name__ == "__main__":
    sys.exit(main(Path((sys.argv[1:] or ["faults"])[0]), sys.argv[2:]))
