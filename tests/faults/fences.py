"""Who was fenced had a fault, and records nothing from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf

from tests.faults.evidence import Evidence, Violation
from tests.faults.history import Line

_NOTICES = ("WorkerFenced", "WorkerReaped")
_FOR_GOOD = {"complete", "bury"}
_OF_HANDLERS = {*_FOR_GOOD, "retry", "snooze"}
"""Endings before which the handler began, and told so; others may need no run."""


def i17_no_healthy_worker_was_fenced(evidence: Evidence) -> Iterator[Violation]:
    """Neither as it told itself, nor as a reaper told of it.

    A freeze excuses the ids that the worker had by then, for a while; not those it took up later.
    """
    over: dict[str, float] = {}
    for line in evidence.lines:
        if line["event"] in ("killed", "ended"):
            over.setdefault(line["name"], line["at"])
    named: dict[str, float] = {}
    taken: dict[str, float] = {}
    for line in evidence.lines:
        if line["event"] not in _NOTICES:
            for worker in line.get("workers", (line.get("worker", ""),)):
                named.setdefault(worker, line["at"])
            continue
        name = line["worker"].rpartition("-")[0]
        # One that nothing was heard of before may be as old as the end of the one before it: frozen
        # at once, it is heard of only when it wakes.
        since = named.setdefault(line["worker"], taken.get(name, 0.0))
        taken[name] = line["at"]
        was_frozen = any(
            at < line["at"] < thawed + 2 * evidence.lease_s and since < thawed
            for at, thawed in evidence.frozen.get(name, ())
        )
        if line["at"] < over.get(name, inf) and not was_frozen:
            yield Violation("I17", f"{line['worker']} was fenced and had no fault")


def i18_nobody_records_what_was_taken_from_it(evidence: Evidence) -> Iterator[Violation]:
    """By tokens alone, whatever the clocks and the order of the lines say.

    Every move of a job adds one to its token, and a reap alone adds a crash. So where the next
    token began with one more crash, the run before it was reaped, and no end of it may be
    recorded; and after an end that is one for good, no greater token may begin. Runs of one worker
    and attempt cannot be told apart (after a snooze): they are counted together.
    """
    recorded = Counter(
        _run(line)
        for line in evidence.of("JobFinished")
        if line["status"] == "recorded" and line["ending"] in _OF_HANDLERS
    )
    for job, begins in evidence.begins.items():
        runs = sorted(begins, key=lambda line: line["token"])
        kept = Counter(map(_run, runs)) - Counter(map(_run, _reaped(runs, evidence)))
        for run in dict.fromkeys(map(_run, runs)):
            if recorded[run] > kept[run]:
                yield Violation("I18", f"{run[1]} recorded what had been taken from it", job)
    for line in evidence.of("JobFinished"):
        if line["status"] == "recorded" and line["ending"] in _FOR_GOOD:
            begins = evidence.begins[line["job"]]
            its = [one["token"] for one in begins if _run(one) == _run(line)]
            later = [one["token"] for one in begins if its and one["token"] > max(its)]
            if later:
                what = f"{line['worker']} recorded the end of {max(its)}, and {later} began"
                yield Violation("I18", what, line["job"])


def _reaped(runs: Sequence[Line], evidence: Evidence) -> Iterator[Line]:
    """Runs, by their tokens, that were taken from their worker."""
    for run, after in pairwise(runs):
        if after["token"] == run["token"] + 1 and after["crashes"] > run["crashes"]:
            yield run
    record = evidence.state.records.get(runs[-1]["job"], {}) if runs else {}
    if record.get("reason") == "crashed" and record.get("token") == str(runs[-1]["token"]):
        yield runs[-1]


def _run(line: Line) -> tuple[str, str, int]:
    return line["job"], line["worker"], line["attempt"]


def i18_nobody_records_after_it_was_reaped(evidence: Evidence) -> Iterator[Violation]:
    """By the date that Redis gave the end, which no late line can change.

    Whoever tells of a fence, the reaper or the worker itself, does so after it. A date later than
    that proves a record after the fence; an earlier one proves nothing.
    """
    told: dict[str, int] = {}
    for line in (*evidence.of("WorkerReaped"), *evidence.of("WorkerFenced")):
        told[line["worker"]] = min(told.get(line["worker"], line["wall"]), line["wall"])
    for line in evidence.of("JobFinished"):
        record = evidence.state.records.get(line["job"], {})
        is_its = line["worker"] == record.get("worker") and line["ending"] in _FOR_GOOD
        if line["status"] in ("recorded", "already") and is_its and "finished" in record:
            late = int(record["finished"]) - told.get(line["worker"], int(record["finished"]))
            if late > 0:
                what = f"{line['worker']} recorded {late} ms after its fence was told"
                yield Violation("I18", what, line["job"])


def i18_nobody_records_after_its_notice(evidence: Evidence) -> Iterator[Violation]:
    """Also what leaves no date, as a retry: by the worker's own lines, while it ran."""
    fenced: dict[str, float] = {}
    for line in evidence.of("WorkerFenced"):
        fenced.setdefault(line["worker"], line["at"])
    for line in evidence.of("JobFinished"):
        # Answers that were on their way when the fence was told may be told a moment later.
        fenced_at = fenced.get(line["worker"], inf)
        is_late = line["status"] == "recorded" and line["at"] > fenced_at + 1
        if is_late and not evidence.stopped(line["worker"], fenced_at, line["at"]):
            yield Violation("I18", f"{line['worker']} recorded after its fence", line["job"])
