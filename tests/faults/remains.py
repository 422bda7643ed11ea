"""What is left when all is at rest: nothing but what the ends of the jobs explain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.faults.evidence import Evidence, Violation


def i6_nothing_is_left(evidence: Evidence) -> Iterator[Violation]:
    state = evidence.state
    left: dict[str, Any] = {
        "entries": {lane: len(found) for lane, found in state.lanes.items() if found},
        "schedule": state.schedule,
        "locks": state.unique,
        "cancels": state.cancels,
        "waiters": state.waiters,
        "leases": state.leases,
        "consumers": {lane: found for lane, found in state.groups.items() if found},
        "strange keys": state.strange,
    }
    for what, found in left.items():
        if found:
            yield Violation("I6", f"left at the end: {what} {found}")
    dead = {job for job, record in state.records.items() if record.get("state") == "dead"}
    if dead != state.dead.keys():
        yield Violation("I6", f"dead records and dead set differ: {dead ^ state.dead.keys()}")


def i14_nobody_is_still_registered(evidence: Evidence) -> Iterator[Violation]:
    for line in evidence.of("registry"):
        if line["workers"]:
            yield Violation("I14", f"still in the registry: {line['workers']}")
