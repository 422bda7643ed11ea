"""Plays a scenario and proves what must hold."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.canaries import SIGNED
from tests.faults.evidence import Evidence, Violation
from tests.faults.hearsay import texts
from tests.faults.scenario import Scenario
from tests.faults.stage import Stage
from tests.faults.timing import (
    i10_no_delayed_job_is_late,
    i13_what_the_dead_held_is_moved_in_time,
    times_late,
    times_of_probes,
    times_to_move,
    times_to_rerun,
    times_to_take_over,
)
from tests.support.queue_state import QueueState, read_state

_STORIES = 3


@dataclass
class Outcome:
    """What one run came to."""

    scenario: str
    flavour: str
    seed: int
    violations: list[Violation]
    numbers: dict[str, Any] = field(default_factory=dict)
    stories: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = [f"{self.scenario} on {self.flavour}, seed {self.seed}:"]
        told += [f"  {one}" for one in self.violations[:20]]
        if len(self.violations) > 20:
            told.append(f"  ... and {len(self.violations) - 20} more")
        return "\n".join([*told, *self.stories])


def run(scenario: Scenario, flavour: str, seed: int, folder: Path, size: float = 1.0) -> Outcome:
    """Play, settle, check; what fails meanwhile is told with the seed and what was under way."""
    with Stage(folder, flavour, seed, size) as stage:
        stage.protection = SIGNED
        try:
            scenario.play(stage)
            return _judged(scenario, stage, stage.settle())
        except Exception as error:
            error.add_note(_under_way(scenario, stage))
            raise


def _judged(scenario: Scenario, stage: Stage, state: QueueState) -> Outcome:
    evidence = Evidence(stage.history.read(), state, stage.lease_s, texts(stage, state))
    found = [violation for check in scenario.checks() for violation in check(evidence)]
    numbers = _numbers(stage, evidence)
    if i13_what_the_dead_held_is_moved_in_time.__name__ not in scenario.spared:
        moved, excused = times_to_move(evidence)
        rerun = times_to_rerun(evidence)
        numbers |= {"moved": moved, "rerun": rerun, "moves not judged": excused}
    if i10_no_delayed_job_is_late.__name__ not in scenario.spared:
        late = [round(seconds, 3) for seconds, _ in times_late(evidence)]
        numbers |= (
            {"delayed jobs judged": len(late), "they were late, s": late[-1:]} if late else {}
        )
    if probed := times_of_probes(evidence):
        numbers["probes began after, s"] = [round(seconds, 3) for seconds in probed]
    if taken_over := times_to_take_over(evidence):
        numbers["release to run elsewhere, s"] = round(taken_over[-1], 3)
    numbers["broken"] = [one.invariant for one in found]
    jobs = list(dict.fromkeys(one.job for one in found if one.job))[:_STORIES]
    stories = [evidence.story(job) for job in jobs]
    return Outcome(scenario.name, stage.flavour, stage.seed, found, numbers, stories)


def _numbers(stage: Stage, evidence: Evidence) -> dict[str, Any]:
    states = [one.get("state") for one in evidence.state.records.values()]
    return {
        "jobs": len(evidence.accepted),
        "succeeded": states.count("succeeded"),
        "dead": states.count("dead"),
        "runs": sum(len(one) for one in evidence.begins.values()),
        "kills": len(evidence.of("killed")),
        "zombies": len(evidence.of("frozen")),
        "fenced": len(evidence.of("WorkerFenced")),
        "server_kills": len(evidence.of("server killed")),
        **stage.notes,
    }


def _under_way(scenario: Scenario, stage: Stage) -> str:
    """The seed, the stories of some jobs that have not ended, and the end of every log."""
    evidence = Evidence(stage.history.read(), _glimpse(stage), stage.lease_s)
    left = evidence.unended()
    told = [
        f"{scenario.name} on {stage.flavour}, seed {stage.seed}: {len(left)} jobs have not ended",
        *map(evidence.story, left[:_STORIES]),
    ]
    return "\n".join([*told, _tails(stage)])


def _glimpse(stage: Stage) -> QueueState:
    """What Redis holds; nothing where it cannot be asked, which must not hide what failed."""
    with suppress(Exception):
        return read_state(stage.admin, stage.keys)
    return QueueState()


def _tails(stage: Stage) -> str:
    return "\n".join(
        f"--- {actor.name}\n" + "\n".join(actor.log.read_text(errors="replace").splitlines()[-15:])
        for actor in stage.actors
        if actor.log.exists()
    )
