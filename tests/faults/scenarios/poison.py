"""A steady trickle of jobs that kill their worker."""

from __future__ import annotations

import json

from tests.faults.chaos import Fault, rage, replace_the_dead
from tests.faults.scenario import scenario, times
from tests.faults.stage import Stage


@scenario("poison")
def one_job_in_twenty_five_is_poison(stage: Stage) -> None:
    """One job in twenty-five kills its worker, for a minute: no innocent is dead."""
    stage.start_server()
    stage.cast(jobs=600, rate=10, workers=4, mix="poisoned", concurrency=100)
    keep = Fault(replace_the_dead, (0.05, 0.1), times=times(stage, 100))
    rage(stage, [keep], 1200)
    while not stage.is_empty():
        replace_the_dead(stage)
        stage.pause(0.05)
    told = stage.history.of("asked")
    poisons = {line["job"] for line in told if line["task"] == "poison"}
    dead = {_text(job) for job in stage.admin.zrange(stage.keys.dead, 0, -1)}  # pyright: ignore[reportArgumentType]
    stage.notes |= {"poisons": len(poisons), "innocent_dead": len(dead - poisons)}
    assert dead == poisons, f"{json.dumps(sorted(dead ^ poisons))}"


def _text(value: bytes) -> str:
    return value.decode()
