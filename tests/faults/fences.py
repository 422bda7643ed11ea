"""Who was fenced had a fault, and records nothing from then on."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from tests.faults.evidence import Evidence, Violation


def i17_no_healthy_worker_was_fenced(evidence: Evidence) -> Iterator[Violation]:
    harmed: dict[str, float] = {}
    for line in evidence.lines:
        if line["event"] in ("killed", "frozen"):
            harmed.setdefault(line["name"], line["at"])
    for line in evidence.of("WorkerFenced"):
        if line["at"] < harmed.get(line["worker"].rpartition("-")[0], inf):
            yield Violation("I17", f"{line['worker']} was fenced and had no fault")


def i18_nobody_records_after_its_fence(evidence: Evidence) -> Iterator[Violation]:
    fenced: dict[str, float] = {}
    for line in evidence.lines:
        if line["event"] == "WorkerFenced":
            fenced.setdefault(line["worker"], line["at"])
    for line in evidence.of("JobFinished"):
        # Answers that were on their way when the fence was told may be told a moment later.
        fenced_at = fenced.get(line["worker"])
        is_late = fenced_at is not None and line["at"] > fenced_at + 1
        if is_late and line["status"] == "recorded":
            yield Violation("I18", f"{line['worker']} recorded after its fence", line["job"])
