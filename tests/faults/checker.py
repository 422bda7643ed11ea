"""The invariants: what was asked and what ran (the history) against what Redis holds at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

from tests.faults.canaries import i15_nothing_secret_is_told
from tests.faults.evidence import ENDINGS, FINAL, VERBS, Evidence, Violation
from tests.faults.fences import (
    i17_no_healthy_worker_was_fenced,
    i18_nobody_records_after_it_was_reaped,
    i18_nobody_records_after_its_notice,
    i18_nobody_records_what_was_taken_from_it,
)
from tests.faults.history import Line
from tests.faults.remains import (
    i6_nothing_is_left,
    i14_every_key_is_explained,
    i14_nobody_is_still_registered,
)
from tests.faults.timing import (
    i10_no_delayed_job_is_early,
    i10_no_delayed_job_is_late,
    i13_what_the_dead_held_is_moved_in_time,
)

_TAKEN = ("recorded", "already")
"""Answers to an ending that now stands."""


def i1_every_accepted_job_has_ended(evidence: Evidence) -> Iterator[Violation]:
    """Nor is anything left behind of a job whose enqueue was never answered."""
    records = evidence.state.records
    for job in sorted(evidence.accepted):
        state = records.get(job, {}).get("state", "gone")
        if state not in FINAL:
            yield Violation("I1", f"accepted, and now {state}", job)
    for job in sorted(records.keys() - evidence.accepted):
        if (state := records[job].get("state", "")) not in FINAL:
            yield Violation(
                "I1", f"not known to be accepted, and now {state or 'without state'}", job
            )
    for job in sorted(records.keys() - evidence.asked.keys()):
        yield Violation("I1", "a record that nobody asked for", job)


def i2_every_end_was_counted_once(evidence: Evidence) -> Iterator[Violation]:
    meta = evidence.state.meta
    for verb, (found, told) in _countable(evidence).items():
        counted = int(meta.get(verb, 0))
        if counted != len(found):
            what = f"{verb} was counted {counted} times for {len(found)} jobs"
            yield Violation("I2", what, _oddest(found, told, is_excess=counted > len(found)))


def _countable(evidence: Evidence) -> dict[str, tuple[set[str], dict[str, list[str]]]]:
    """What each verb counts: the jobs of which it should, and all the answers it was seen to get.

    What crashed was not buried by its worker: other verbs count it.
    """
    records = evidence.state.records
    found: dict[str, set[str]] = {verb: set() for verb in VERBS.values()}
    told: dict[str, dict[str, list[str]]] = {verb: defaultdict(list) for verb in found}
    for job, record in records.items():
        state = record.get("state", "")
        has_crashed = state == "dead" and record.get("reason") in ("crashed", "orphan")
        if state in VERBS and not has_crashed:
            found[VERBS[state]].add(job)
    for line in evidence.of("JobFinished"):
        if line["ending"] in told and line["status"] in _TAKEN:
            told[line["ending"]][line["job"]].append(line["status"])
    return {
        **{verb: (found[verb], told[verb]) for verb in found},
        "enqueue": (set(records), {job: evidence.answers[job] for job in evidence.accepted}),
        "orphan": (set(), {job: [] for job in evidence.accepted - records.keys()}),
    }


def _oddest(found: AbstractSet[str], told: Mapping[str, Sequence[str]], *, is_excess: bool) -> str:
    """The job of which a wrong count is the likeliest: one whose answers do not fit its record."""

    def is_plain(job: str) -> bool:
        return job in found and list(told.get(job, ())) in (["recorded"], ["accepted"])

    def answers(job: str) -> int:
        return len(told.get(job, ())) * (-1 if is_excess else 1)

    jobs = sorted(found | told.keys(), key=lambda job: (is_plain(job), answers(job), job))
    return next(iter(jobs), "")


def i3_no_job_was_recorded_twice(evidence: Evidence) -> Iterator[Violation]:
    ends: dict[str, list[Line]] = defaultdict(list)
    for line in evidence.of("JobFinished"):
        if line["status"] == "recorded" and line["ending"] in ENDINGS:
            ends[line["job"]].append(line)
    for job, lines in ends.items():
        if len(lines) > 1:
            yield Violation("I3", f"{len(lines)} endings were recorded", job)
        worker = evidence.state.records.get(job, {}).get("worker")
        if worker and worker != lines[-1]["worker"]:
            yield Violation("I3", f"recorded by {lines[-1]['worker']}, kept of {worker}", job)


def i4_what_succeeded_ran(evidence: Evidence) -> Iterator[Violation]:
    for job, record in evidence.state.records.items():
        if record.get("state") == "succeeded" and not evidence.begins[job]:
            yield Violation("I4", "succeeded without a run", job)


def i4_a_job_runs_again_for_a_reason_only(evidence: Evidence) -> Iterator[Violation]:
    """A failure, a crash that was charged, a release, a snooze, or the end of its worker.

    One that is killed tells nothing any more, and one that ended unclean may not have heard that an
    end of its was recorded.
    """
    went_on = Counter(
        line["job"]
        for line in evidence.of("JobFinished")
        if line["ending"] in ("release", "snooze") and line["status"] in _TAKEN
    )
    killed = {line["name"] for line in evidence.of("killed")}
    unclean = {line["name"] for line in evidence.of("ended") if not line["clean"]}
    heard = {(line["job"], line.get("worker")) for line in evidence.of("JobFinished")}
    for job, begins in evidence.begins.items():
        record = evidence.state.records.get(job, {})
        crashes = sum(name.startswith("error_c") for name in record)
        names = [(line["worker"].rpartition("-")[0], line["worker"]) for line in begins]
        died = sum(name in killed for name, _ in names)
        unheard = sum(name in unclean and (job, worker) not in heard for name, worker in names)
        most = 1 + len(evidence.raised[job]) + went_on[job] + crashes + died + unheard
        if record and len(begins) > most:
            yield Violation("I4", f"ran {len(begins)} times, of which {most} had a reason", job)


def i5_no_job_is_in_two_places(evidence: Evidence) -> Iterator[Violation]:
    for job in {line["job"] for line in evidence.of("twin")}:
        yield Violation("I5", "stood in two places at once", job)


def i7_a_unique_key_has_one_holder(evidence: Evidence) -> Iterator[Violation]:
    held: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for job, record in evidence.state.records.items():
        key = evidence.asked.get(job, {}).get("options", {}).get("unique")
        if key and "finished" in record:
            created = record.get("created") or record["entry"].partition("-")[0]
            held[key].append((int(created), int(record["finished"]), job))
    for key, spans in held.items():
        spans.sort()
        for (_, end, one), (start, _, other) in pairwise(spans):
            if start < end:
                yield Violation("I7", f"{key} was held by {one} and {other} at once", other)


def i9_tokens_grow_and_no_entry_runs_twice(evidence: Evidence) -> Iterator[Violation]:
    for job, begins in evidence.begins.items():
        tokens = [line["token"] for line in begins]
        if _grows(tokens):
            continue
        if not _grows([one["token"] for one in begins if not evidence.froze_at_the_door(one)]):
            yield Violation("I9", f"runs began with the tokens {tokens}", job)


def _grows(tokens: Sequence[int]) -> bool:
    return all(one < other for one, other in pairwise(tokens))


def i11_what_reached_the_disk_is_there(evidence: Evidence) -> Iterator[Violation]:
    for line in evidence.of("answered"):
        is_new = line["status"] != "locked" and line.get("durability") == "fsync"
        if is_new and line["job"] not in evidence.state.records:
            yield Violation("I11", "was on the disk when it was accepted, and is gone", line["job"])


def i12_attempts_are_failures(evidence: Evidence) -> Iterator[Violation]:
    """What is charged is what the handler was seen to fail, and the success; crashes are not."""
    for job, record in evidence.state.records.items():
        errors = _errors(record)
        attempts = int(record.get("attempts", record.get("state") == "succeeded"))
        expected = len(errors) + (record.get("state") == "succeeded")
        if attempts != expected and record.get("state") in ("succeeded", "dead"):
            yield Violation("I12", f"{attempts} attempts charged, {len(errors)} errors kept", job)
        if unseen := errors - {line["attempt"] for line in evidence.raised[job]}:
            yield Violation("I12", f"errors of {sorted(unseen)} kept that no handler raised", job)


def i12_every_recorded_failure_is_kept(evidence: Evidence) -> Iterator[Violation]:
    """What a handler raised and Redis took counts; what a crash or a fence kept back may not."""
    for line in evidence.of("JobFinished"):
        is_failure = line["ending"] in ("retry", "bury") and line["status"] in _TAKEN
        has_raised = any(
            (one["worker"], one["attempt"]) == (line["worker"], line["attempt"])
            for one in evidence.raised[line["job"]]
        )
        record = evidence.state.records.get(line["job"], {})
        if is_failure and has_raised and line["attempt"] not in _errors(record):
            yield Violation("I12", f"failure {line['attempt']} was recorded, not kept", line["job"])


def _errors(record: Mapping[str, str]) -> set[int]:
    """The attempts whose errors stand in a record."""
    return {int(name[6:]) for name in record if name.startswith("error_") and name[6:].isdigit()}


ALWAYS = (
    i1_every_accepted_job_has_ended,
    i2_every_end_was_counted_once,
    i3_no_job_was_recorded_twice,
    i4_what_succeeded_ran,
    i4_a_job_runs_again_for_a_reason_only,
    i5_no_job_is_in_two_places,
    i6_nothing_is_left,
    i7_a_unique_key_has_one_holder,
    i9_tokens_grow_and_no_entry_runs_twice,
    i10_no_delayed_job_is_early,
    i10_no_delayed_job_is_late,
    i11_what_reached_the_disk_is_there,
    i12_attempts_are_failures,
    i12_every_recorded_failure_is_kept,
    i13_what_the_dead_held_is_moved_in_time,
    i14_nobody_is_still_registered,
    i14_every_key_is_explained,
    i15_nothing_secret_is_told,
    i17_no_healthy_worker_was_fenced,
    i18_nobody_records_what_was_taken_from_it,
    i18_nobody_records_after_it_was_reaped,
    i18_nobody_records_after_its_notice,
)
"""What holds after every scenario that does not say otherwise."""
