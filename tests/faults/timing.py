"""How long things take: bounds, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.faults.evidence import Evidence, Violation

TAKEN_OVER_S = 1.5
"""From a release to the next begin, where others live: a second, and what a busy machine adds."""


def i10_no_delayed_job_is_early(evidence: Evidence) -> Iterator[Violation]:
    for job, line in evidence.asked.items():
        delay = float(line["options"].get("delay", 0))
        for begin in evidence.begins[job][:1] if delay else ():
            early = line["at"] + delay - begin["at"]
            if early > 0.001:  # the server counts whole milliseconds
                yield Violation("I10", f"began {early * 1000:.0f} ms early", job)


def released_jobs_run_elsewhere_at_once(evidence: Evidence) -> Iterator[Violation]:
    for seconds in times_to_take_over(evidence):
        if seconds > TAKEN_OVER_S:
            yield Violation("F30", f"a released job began only {seconds:.2f} s later")


def no_job_waits_for_three_seconds(evidence: Evidence) -> Iterator[Violation]:
    """What a lost answer had delivered is found; there are slots for all, and nobody dies."""
    accepted = {line["job"]: line["at"] for line in evidence.of("answered")}
    for job, begins in evidence.begins.items():
        if begins and "delay" not in evidence.asked[job]["options"]:  # I4 tells who never began
            begun = begins[0]["at"]
            at = accepted.get(job, begun)
            if begun - at > 3 and not evidence.stood_still(at, begun):
                yield Violation("F10", f"began only {begun - at:.1f} s after it was accepted", job)


def times_to_move(evidence: Evidence) -> tuple[list[float], int]:
    """Seconds from each kill of a worker that held jobs until they were moved.

    On a machine that stood still the reapers begin their watch afresh, and rightly so: such moves
    are not among them, but counted.
    """
    killed = {line["name"]: line["at"] for line in evidence.of("killed")}
    found: dict[str, float] = {}
    excused: set[str] = set()
    for line in evidence.of("WorkerReaped"):
        at = killed.get(line["worker"].rpartition("-")[0])
        if at is None:
            continue
        if evidence.stood_still(at, line["at"]):
            excused.add(line["worker"])
        else:
            found[line["worker"]] = round(line["at"] - at, 3)
    return sorted(found.values()), len(excused)


def times_to_rerun(evidence: Evidence) -> list[float]:
    """Seconds from each kill until a job that ran there began again elsewhere."""
    killed = {line["name"]: line["at"] for line in evidence.of("killed")}
    found: list[float] = []
    for begins in evidence.begins.values():
        for one, other in pairwise(begins):
            at = killed.get(one["worker"].rpartition("-")[0])
            if (
                at is not None
                and one["at"] < at < other["at"]
                and other["crashes"] > one["crashes"]
            ):
                found.append(round(other["at"] - at, 3))
    return sorted(found)


def times_to_take_over(evidence: Evidence) -> list[float]:
    """Seconds from each release until that job began elsewhere, on a machine that did not stall."""
    found: list[float] = []
    for line in evidence.of("JobFinished"):
        if line["ending"] == "release" and line["status"] == "recorded":
            later = [one["at"] for one in evidence.begins[line["job"]] if one["at"] > line["at"]]
            if later and not evidence.stood_still(line["at"], later[0]):
                found.append(later[0] - line["at"])
    return sorted(found)
