"""The examination: every check on one or two looks, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rqueue.config import shown
from rqueue.doctor import capacity, connection, persistence, queues, server, workers
from rqueue.doctor.exam import Exam
from rqueue.doctor.memory import Budget, growth
from rqueue.doctor.verdict import Check, Finding, Status

CHECKS: Sequence[Check] = (
    *connection.CHECKS, *server.CHECKS, *persistence.CHECKS, *capacity.CHECKS, *queues.CHECKS,
    *workers.CHECKS,
)  # fmt: skip
"""Every check, in the order in which they are listed."""
FORMAT = 1
"""Of the report as JSON; counted up when a field changes its meaning or goes."""
_ORDER = list(Status)


class FamilyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What keys of one kind take; see ``memory.Family``.

    Attributes:
        name: of the family.
        keys: how many.
        bytes: what they take.
        share: of the memory in use, 0 to 1; None = not told.
        is_exact: all were weighed.
        bytes_per_minute: by which it grew between two looks; None = there was one.
    """

    name: str
    keys: int
    bytes: int
    share: float | None
    is_exact: bool
    bytes_per_minute: int | None


class MemoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What keys take, by family.

    Attributes:
        used_bytes: memory in use; None = not told.
        max_bytes: ``maxmemory``; 0 = no bound; None = not told.
        bytes_per_minute: by which the memory in use grew; None = there was one look.
        keys: of the database.
        listed: of these were looked at.
        refused: the command that this user may not run; "" = none.
        families: the largest first.
    """

    used_bytes: int | None
    max_bytes: int | None
    bytes_per_minute: int | None
    keys: int
    listed: int
    refused: str
    families: Sequence[FamilyReport]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the examination found.

    Attributes:
        format: of this report.
        status: of its worst finding.
        url: without its password.
        namespace: that was looked at.
        looked_s: seconds between the two looks; 0 = there was one.
        findings: of every check, the worst first.
        memory: by family of keys.
    """

    format: int = FORMAT
    status: Status
    url: str
    namespace: str
    looked_s: float
    findings: Sequence[Finding]
    memory: MemoryReport


def report_of(exam: Exam) -> Report:
    """What all that was seen amounts to."""
    findings = judged(exam)
    return Report(
        status=max((one.status for one in findings), key=_ORDER.index),
        url=shown(exam.contact.url),
        namespace=exam.namespace,
        looked_s=round(exam.span_s, 3),
        findings=findings,
        memory=_memory(exam),
    )


def judged(exam: Exam) -> list[Finding]:
    """What every check says, the worst first."""
    found: list[Finding] = []
    for check in CHECKS:
        said = check.judge(exam)
        is_well = said.status is Status.OK
        found.append(
            Finding(
                id=check.id,
                status=said.status,
                found=said.found,
                why=check.why,
                fix="" if is_well else said.fix,
                about=() if is_well else said.about,
            )
        )
    return sorted(found, key=lambda one: -_ORDER.index(one.status))


def _memory(exam: Exam) -> MemoryReport:
    server, found = exam.last.server, exam.last.budget
    used, most = server.number("used_memory"), server.number("maxmemory")
    before = exam.first.server.number("used_memory")
    rate = None
    if exam.span_s and used is not None and before is not None:
        rate = round((used - before) * 60 / exam.span_s)
    grown = growth(exam.first.budget, found, exam.span_s) if exam.span_s else None
    return MemoryReport(
        used_bytes=None if used is None else int(used),
        max_bytes=None if most is None else int(most),
        bytes_per_minute=rate,
        keys=found.total,
        listed=found.listed,
        refused=found.refused,
        families=_families(found, used, grown),
    )


def _families(
    found: Budget, used: float | None, grown: Mapping[str, int] | None
) -> list[FamilyReport]:
    return [
        FamilyReport(
            name=one.name,
            keys=one.keys,
            bytes=one.bytes,
            share=round(one.bytes / used, 4) if used else None,
            is_exact=one.is_exact,
            bytes_per_minute=None if grown is None else grown[one.name],
        )
        for one in found.families
    ]
