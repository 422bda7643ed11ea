"""The long run: every scenario, many seeds, large sizes. ``python -m tests.faults [FOLDER]``

Each run is a line of ``FOLDER/runs.jsonl``; one that is there is not played again, so a run that
was stopped goes on where it was. At the end a table for ``docs/guarantees.md``.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from redis import RedisError

from tests.faults.run import run
from tests.faults.scenario import load

BUDGET_S = 85 * 60
"""When no further run is begun."""
SIZES = {"F1": 3.0, "F2": 2.0, "F5": 5.0, "F8": 3.0, "poison": 3.0}
"""How many times the small size a long run of a scenario is; 1 for the others."""
ROUNDS = (1, 2)
WEIGHTS = {"F1": 3, "F2": 3, "F5": 1}
"""Runs of a scenario on each server and round; 1 for the others."""


def plan() -> Iterator[tuple[str, str, int]]:
    """Scenario, server, seed; each round has them all, so that a short run has seen everything."""
    for turn in ROUNDS:
        for name, scenario in load().items():
            for extra in range(WEIGHTS.get(name, 1)):
                for flavour in scenario.flavours:
                    yield name, flavour, turn * 100 + extra


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "runs.jsonl"
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    seen = {(one["scenario"], one["flavour"], one["seed"]) for one in done}
    end = time.monotonic() + BUDGET_S
    for name, flavour, seed in plan():
        if (name, flavour, seed) in seen:
            continue
        if time.monotonic() > end:
            break
        told = play(name, flavour, seed, folder)
        done.append(told)
        with file.open("a") as log:
            log.write(json.dumps(told) + "\n")
    sys.stdout.write(table(done))
    return 1 if any(one["violations"] for one in done) else 0


def play(name: str, flavour: str, seed: int, folder: Path) -> dict[str, Any]:
    """One run; what it left is kept only if something did not hold."""
    at = folder / f"{name}-{flavour}-{seed}"
    shutil.rmtree(at, ignore_errors=True)
    began = time.monotonic()
    try:
        outcome = run(load()[name], flavour, seed, at, SIZES.get(name, 1.0))
        violations, numbers, told = [str(v) for v in outcome.violations], outcome.numbers, outcome
    except (AssertionError, RedisError, OSError) as error:
        violations, numbers, told = [str(error)[:2000]], {}, error
    seconds = round(time.monotonic() - began, 1)
    sys.stdout.write(f"{name} {flavour} seed {seed}: {seconds} s, {len(violations)} violations\n")
    sys.stdout.flush()
    if violations:
        sys.stdout.write(f"{told}\n")
    else:
        shutil.rmtree(at)
    return {
        "scenario": name,
        "flavour": flavour,
        "seed": seed,
        "seconds": seconds,
        "violations": violations,
        **numbers,
    }


def table(runs: Sequence[dict[str, Any]]) -> str:
    """The sums by scenario, as Markdown."""
    head = (
        "scenario", "runs", "seeds", "jobs", "worker kills", "zombies", "server kills", "lost",
        "recorded twice", "healthy fenced", "kill to moved p50 / p99 / max",
        "kill to re-run p50 / max",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in dict.fromkeys(one["scenario"] for one in runs):
        lines += [_row(name, [one for one in runs if one["scenario"] == name])]
    return "\n".join([*lines, _row("all", runs)]) + "\n"


def _row(name: str, runs: Sequence[dict[str, Any]]) -> str:
    def total(field: str) -> int:
        return sum(one.get(field, 0) for one in runs)

    def broken(invariant: str) -> int:
        return sum(text.startswith(invariant) for one in runs for text in one["violations"])

    spared = {one.name for one in load().values() if "i13" in one.spared}
    moved = sorted(s for one in runs if one["scenario"] not in spared for s in one.get("moved", ()))
    rerun = sorted(s for one in runs if one["scenario"] not in spared for s in one.get("rerun", ()))
    seeds = sorted({one["seed"] for one in runs})
    cells = (
        name,
        len(runs),
        f"{seeds[0]}-{seeds[-1]}",
        f"{total('jobs'):,}",
        total("kills"),
        total("zombies"),
        total("server_kills"),
        total("lost") + broken("I1:"),
        broken("I2:") + broken("I3:"),
        broken("I17:"),
        f"{_at(moved, 50)} / {_at(moved, 99)} / {_at(moved, 100)}",
        f"{_at(rerun, 50)} / {_at(rerun, 100)}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _at(values: Sequence[float], percent: int) -> str:
    if not values:
        return "-"
    return f"{values[max(0, -(-len(values) * percent // 100) - 1)]:.2f} s"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "faults")))
