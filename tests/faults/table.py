"""What a long run came to, as Markdown for ``docs/guarantees.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.faults.scenario import DESTROYED, load

Told = dict[str, Any]
HEAD = (
    "fault", "runs", "failed", "jobs", "kills", "frozen (fenced)", "server kills", "lost",
    "recorded twice", "healthy fenced", "kill to moved p50 / p99 / max", "kill to re-run p50 / max",
)  # fmt: skip
_IN_HEAD = {
    "jobs", "kills", "zombies", "fenced", "server_kills", "lost", DESTROYED, "broken", "moved",
    "rerun",
}  # fmt: skip
_NOT_TOLD = {
    "name", "fault", "flavour", "seed", "seconds", "failed", "succeeded", "dead", "runs",
}  # fmt: skip


def table(runs: Sequence[Told]) -> str:
    """The sums by fault, and below them what only some faults count."""
    faults = list(dict.fromkeys(one["fault"] for one in runs))
    by_fault = {fault: [one for one in runs if one["fault"] == fault] for fault in faults}
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [_row(fault, found) for fault, found in by_fault.items() if _has_numbers(found)]
    rows += [_row("all", runs)]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    lines += ["", *(f"- {line}" for line in map(_besides, by_fault.values()) if line)]
    return "\n".join(lines) + "\n"


def _row(fault: str, runs: Sequence[Told]) -> tuple[object, ...]:
    moved, rerun = _joined(runs, "moved"), _joined(runs, "rerun")
    broken = [invariant for one in runs for invariant in one.get("broken", ())]
    return (
        fault,
        len(runs),
        sum(bool(one["failed"]) for one in runs),
        f"{_sum(runs, 'jobs'):,}",
        _sum(runs, "kills"),
        f"{_sum(runs, 'zombies')} ({_sum(runs, 'fenced')})",
        _sum(runs, "server_kills"),
        _lost(runs, broken),
        _judged(fault, "i3_no_job_was_recorded_twice", broken.count("I2") + broken.count("I3")),
        _judged(fault, "i17_no_healthy_worker_was_fenced", broken.count("I17")),
        f"{_at(moved, 50)} / {_at(moved, 99)} / {_at(moved, 100)}",
        f"{_at(rerun, 50)} / {_at(rerun, 100)}",
    )


def _lost(runs: Sequence[Told], broken: Sequence[str]) -> str:
    lost = _sum(runs, "lost") + broken.count("I1") + broken.count("I11")
    destroyed = _sum(runs, DESTROYED)
    return f"{lost}, and {destroyed} {DESTROYED}" if destroyed else str(lost)


def _judged(fault: str, check: str, found: int) -> str:
    """How often it was found, where it is looked for."""
    scenario = load().get(fault)
    return "-" if scenario is not None and check in scenario.spared else str(found)


def _besides(runs: Sequence[Told]) -> str:
    """What a fault counts and no other does, of all its runs."""
    flat = [dict(_flat(one)) for one in runs]
    names = dict.fromkeys(name for one in flat for name in one)
    told = [name for name in names if name not in _IN_HEAD | _NOT_TOLD]
    values = [f"{name} {_all(flat, name)}" for name in told]
    if not _has_numbers(runs):
        values.insert(0, f"{len(runs)} runs, {sum(bool(one['failed']) for one in runs)} failed")
    return f"{runs[0]['fault']}: {', '.join(values)}" if values else ""


def _flat(one: Told) -> Iterator[tuple[str, Any]]:
    """Each number by its name; of several that stand together, by both."""
    for name, value in one.items():
        if isinstance(value, dict):
            yield from ((f"{name}: {part}", number) for part, number in value.items())
        else:
            yield name, value


def _all(runs: Sequence[Told], name: str) -> str:
    """A count of all runs together; of anything else the least and the most."""
    found = [one[name] for one in runs if name in one]
    if all(isinstance(value, int) for value in found):
        return f"{sum(found):,}"
    flat = [number for value in found for number in (value if isinstance(value, list) else [value])]
    return f"{min(flat, default=0):g} to {max(flat, default=0):g}"


def _has_numbers(runs: Iterable[Told]) -> bool:
    return any("jobs" in one for one in runs)


def _sum(runs: Sequence[Told], name: str) -> int:
    return sum(one.get(name, 0) for one in runs)


def _joined(runs: Sequence[Told], name: str) -> list[float]:
    return sorted(seconds for one in runs for seconds in one.get(name, ()))


def _at(values: Sequence[float], percent: int) -> str:
    if not values:
        return "-"
    return f"{values[max(0, -(-len(values) * percent // 100) - 1)]:.2f} s"
