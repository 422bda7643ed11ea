"""What is left when all is at rest: nothing but what the ends of the jobs explain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rqueue.store.keys import LANES
from tests.faults.evidence import Evidence, Violation

_HERE = "{default}:"
_OF_PLANS = ("plan", "ran")
_HOUR_MS = 3_600_000
_LIVES_MS = {
    "minute": 25 * _HOUR_MS,
    "hour": 170 * _HOUR_MS,
    "failures": 170 * _HOUR_MS,
    "booked": 25 * _HOUR_MS,
}
_STEPPED_BACK_MS = _HOUR_MS
"""As far as the clock of a server may be set back in a scenario, and more."""
_PAST = re.compile(re.escape(_HERE) + r"((minute|hour):\d+|(failures|booked))")


def is_past(name: str) -> bool:
    """Whether this is a key of the history, which outlives the jobs for a while."""
    return _PAST.fullmatch(name) is not None


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
        yield from _of_the_past(line["past"])
        if line["jobs"] != len(records):
            yield Violation("I14", f"{line['jobs']} keys of {len(records)} records")


def _of_the_past(left_ms: dict[str, int]) -> Iterator[Violation]:
    """Workers' history ends by itself: no key of it lives for ever, or for longer than is said."""
    lives = {name: _LIVES_MS[name.removeprefix(_HERE).partition(":")[0]] for name in left_ms}
    if endless := [n for n, ms in left_ms.items() if not 0 < ms <= lives[n] + _STEPPED_BACK_MS]:
        yield Violation("I14", f"history that does not end in time: {sorted(endless)}")
    if left_ms and _HERE + "booked" not in left_ms:
        yield Violation("I14", f"history that nobody has booked: {sorted(left_ms)}")


def i14_nobody_is_still_registered(evidence: Evidence) -> Iterator[Violation]:
    for line in evidence.of("registry"):
        if line["workers"]:
            yield Violation("I14", f"still in the registry: {line['workers']}")
