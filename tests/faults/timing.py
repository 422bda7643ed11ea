"""How long things take: bounds, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import inf

from rqueue.config import StoreConfig
from rqueue.store.connection import _LONGEST_PAUSE_S
from rqueue.store.reader import _PATIENCE_S
from rqueue.worker.fetcher import _LONGEST_BLOCK_S, _PAUSE_AFTER_ERROR_S
from tests.faults.evidence import Evidence, Violation

TAKEN_OVER_S = 1.5
"""From a release to the next begin, where others live: a second, and what a busy machine adds."""
PROMPT_S = 1.5
"""From the time of a delayed job to its begin: likewise."""
MOVED_WITHIN = 1.5
"""Leases from a kill to the move of what the dead worker held, while a reaper lives."""
SLACK_S = 0.5
"""What a busy machine may add to it."""
CALM_S = StoreConfig(url="redis://").timeout_s + _LONGEST_PAUSE_S
"""After a trouble with Redis: until a process has given up waiting, paused, and asked again."""
BACK_WITHIN_S = CALM_S + _PAUSE_AFTER_ERROR_S + PROMPT_S
"""From the end of a black hole to the end of a job sent then: the fetcher may pause once more."""
PROBE = "probe-"
"""How the ids of jobs begin that are sent to see how soon they run."""
_TROUBLES = {"connections killed", "server clock", "stall", "destroyed", "trouble", "memory free"}
"""Lines after which a calm has to begin anew. Once memory is free, all comes at once that had been
refused, and who waits for a turn then is late for want of slots."""
_LASTING = {"black": "light", "server killed": "server back"}
_STOPPED = {"LoopStalled", "machine stalled"}
"""Lines of something that stood still until then, or still does."""


def i10_no_delayed_job_is_early(evidence: Evidence) -> Iterator[Violation]:
    for job, line in evidence.asked.items():
        delay = float(line["options"].get("delay", 0))
        for begin in evidence.begins[job][:1] if delay else ():
            early = line["at"] + delay - begin["at"]
            if early > 0.001:  # the server counts whole milliseconds
                yield Violation("I10", f"began {early * 1000:.0f} ms early", job)


def i10_no_delayed_job_is_late(evidence: Evidence) -> Iterator[Violation]:
    for seconds, job in times_late(evidence):
        if seconds > PROMPT_S:
            yield Violation("I10", f"began {seconds:.2f} s late, and nothing was wrong", job)


def probes_run_in_time(evidence: Evidence) -> Iterator[Violation]:
    """Nobody who waits in Redis waits longer for its clock: each probe began in time."""
    bound = read_again_within(evidence.lease_s)
    for seconds in times_of_probes(evidence):
        if seconds > bound:
            yield Violation(
                "F19", f"a probe began {seconds:.2f} s after it was sent, bound {bound}"
            )


def read_again_within(lease_s: float) -> float:
    """Seconds until a reader that hears nothing has hung up, paused, and reads again."""
    return min(_LONGEST_BLOCK_S, lease_s / 2) + _PATIENCE_S + _PAUSE_AFTER_ERROR_S + PROMPT_S


def some_delayed_jobs_could_be_judged(evidence: Evidence) -> Iterator[Violation]:
    if not (times_late(evidence) or evidence.of("machine stalled")):
        yield Violation("I10", "no delayed job was due while nothing was wrong")


def i13_what_the_dead_held_is_moved_in_time(evidence: Evidence) -> Iterator[Violation]:
    bound = MOVED_WITHIN * evidence.lease_s + SLACK_S
    judged, excused = times_to_move(evidence)
    for seconds in judged:
        if seconds > bound:
            yield Violation("I13", f"moved {seconds:.2f} s after a kill, bound {bound}")
    if excused > len(judged) and not evidence.of("machine stalled"):
        yield Violation("I13", f"{excused} moves could not be judged, {len(judged)} could")


def released_jobs_run_elsewhere_at_once(evidence: Evidence) -> Iterator[Violation]:
    for seconds in times_to_take_over(evidence):
        if seconds > TAKEN_OVER_S:
            yield Violation("F30", f"a released job began only {seconds:.2f} s later")


def no_job_waits_for_three_seconds(evidence: Evidence) -> Iterator[Violation]:
    """What a lost answer had delivered is found; there are slots for all, and nobody dies."""
    accepted = {line["job"]: line["at"] for line in evidence.of("answered")}
    for job, begins in evidence.begins.items():
        if begins:  # I4 tells who never began
            begun = begins[0]["at"]
            due = accepted.get(job, begun) + float(evidence.asked[job]["options"].get("delay", 0))
            if begun - due > 3 and not evidence.stood_still(due, begun):
                yield Violation("F10", f"began only {begun - due:.1f} s after it was due", job)


def times_to_move(evidence: Evidence) -> tuple[list[float], int]:
    """Seconds from each kill of a worker that held jobs until they were moved.

    Where the machine stood still, or no reaper got to look in time, watches begin afresh, and
    rightly so: such moves are not among them, but counted.
    """
    killed = {line["name"]: line["at"] for line in evidence.of("killed")}
    found: dict[str, float] = {}
    excused: set[str] = set()
    for line in evidence.of("WorkerReaped"):
        at = killed.get(line["worker"].rpartition("-")[0])
        if at is None:
            continue
        if evidence.stood_still(at, line["at"]) or not evidence.watched(at, line["at"]):
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


def times_late(evidence: Evidence) -> list[tuple[float, str]]:
    """Seconds from the time of each delayed job to its first begin, and the job; where it was idle.

    That is where nothing had been wrong with Redis or the way to it for a while, no scheduler died,
    and no loop, worker or machine stood still between. Only a first token counts: no other worker
    had the job before and died with it, or gave it back. What is due is so by Redis' clock at the
    latest when the answer was there.
    """
    rough = list(_rough(evidence))
    found: list[tuple[float, str]] = []
    answered = {line["job"]: line["at"] for line in reversed(evidence.of("answered"))}
    for job, line in evidence.asked.items():
        delay, begins = float(line["options"].get("delay", 0)), evidence.begins[job]
        if not (delay and begins and job in answered and begins[0]["token"] == 1):
            continue
        due, begun = answered[job] + delay, begins[0]["at"]
        if not any(start < begun and end > due for start, end in rough):
            found.append((begun - due, job))
    return sorted(found)


def _rough(evidence: Evidence) -> Iterator[tuple[float, float]]:
    """From when until when something was wrong, or not yet well again."""
    since: dict[str, float] = {}
    for line in evidence.lines:
        event, at = line["event"], line["at"]
        is_scheduler = event == "killed" and line["name"].startswith("s")
        if event in _TROUBLES or is_scheduler:
            yield at, at + CALM_S
        elif event in _STOPPED:
            yield at - line["seconds"], at + CALM_S
        elif event in _LASTING:
            since[_LASTING[event]] = at
        elif event in since:
            yield since.pop(event), at + CALM_S
    for began in since.values():
        yield began, inf
    for spans in evidence.frozen.values():
        yield from spans


def times_of_probes(evidence: Evidence) -> list[float]:
    """Seconds from each answered probe to its begin, if nobody died with it before."""
    found: list[float] = []
    for line in evidence.of("answered"):
        begins = evidence.begins[line["job"]]
        if line["job"].startswith(PROBE) and begins and begins[0]["token"] == 1:
            begun = begins[0]["at"]
            if not evidence.stood_still(line["at"], begun):
                found.append(max(0.0, begun - line["at"]))
    return sorted(found)
