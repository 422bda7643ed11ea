"""What is left when all is at rest: nothing but what the ends of the jobs explain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rqueue.store.keys import LANES
from tests.faults.evidence import Evidence, Violation

_HERE = "{default}:"
_OF_PLANS = ("plan", "ran")


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


def i14_every_key_is_explained(evidence: Evidence) -> Iterator[Violation]:
    """The whole database: a key for each record, and beside these only what outlives all jobs."""
    records = evidence.state.records
    is_any_dead = any(record.get("state") == "dead" for record in records.values())
    standing = {*(_HERE + f"stream:{lane}" for lane in LANES), _HERE + "meta", "queues"}
    expected = standing | ({_HERE + "dead"} if is_any_dead else set())
    if evidence.state.cron:
        expected |= {_HERE + "cron", "schedules"}
        expected |= {_HERE + f"{kind}:{name}" for name in evidence.state.cron for kind in _OF_PLANS}
    for line in evidence.of("keys"):
        # Who declares schedules is forgotten by itself, a minute and a half after the last of them.
        if strange := expected.symmetric_difference(line["others"]) - {_HERE + "releases"}:
            yield Violation("I14", f"keys without a reason, or missing: {sorted(strange)}")
        if line["jobs"] != len(records):
            yield Violation("I14", f"{line['jobs']} keys of {len(records)} records")


def i14_nobody_is_still_registered(evidence: Evidence) -> Iterator[Violation]:
    for line in evidence.of("registry"):
        if line["workers"]:
            yield Violation("I14", f"still in the registry: {line['workers']}")
