"""The invariants: what was asked and what ran (the history) against what Redis holds at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

from tests.faults.history import Line
from tests.support.queue_state import QueueState

FINAL = {"succeeded", "dead", "cancelled", "expired"}
ENDINGS = {"complete", "bury", "cancel", "expire"}
TAKEN_OVER_S = 1.5
"""From a release to the next begin, where others live: a second, and what a busy machine adds."""


@dataclass(frozen=True)
class Violation:
    """Something that was promised and is not so."""

    invariant: str
    what: str
    job: str = ""

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}" + (f" (job {self.job})" if self.job else "")


class Evidence:
    """What the checks read.

    Args:
        lines: the history, in its order.
        state: the queue at the end, everything at rest.
        lease_s: of the workers.
    """

    def __init__(self, lines: Sequence[Line], state: QueueState, lease_s: float) -> None:
        self.lines = lines
        self.state = state
        self.lease_s = lease_s
        self.asked = {line["job"]: line for line in lines if line["event"] == "asked"}
        self.answers: dict[str, list[str]] = defaultdict(list)
        for line in lines:
            if line["event"] == "answered":
                self.answers[line["job"]].append(line["status"])
        self.accepted = {job for job, said in self.answers.items() if said[-1] != "locked"}
        self.unknown = {line["job"] for line in lines if line["event"] == "unknown"}
        self.begins: dict[str, list[Line]] = defaultdict(list)
        self.raised: Counter[str] = Counter()
        self.frozen: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for line in lines:
            if line["event"] == "frozen":
                self.frozen[line["name"]].append((line["at"], inf))
            elif line["event"] == "thawed":
                began, _ = self.frozen[line["name"]].pop()
                self.frozen[line["name"]].append((began, line["at"]))
            elif line["event"] == "begin":
                self.begins[line["job"]].append(line)
            elif line["event"] == "raise":
                self.raised[line["job"]] += 1

    def of(self, event: str) -> list[Line]:
        return [line for line in self.lines if line["event"] == event]

    def stood_still(self, begin: float, end: float) -> bool:
        """Whether the machine did, some time in between: no bound in time holds then."""
        return any(begin < line["at"] < end for line in self.of("machine stalled"))

    def froze_at_the_door(self, begin: Line) -> bool:
        """Whether a worker was frozen between its look at the lease and the handler's first line.

        Nothing can keep it from going on there when it wakes; its end is refused. It looks as soon
        as it has taken the job up, which its end tells, or else what it has said of its start.
        """
        run = (begin["job"], begin["worker"], begin["attempt"])
        name = begin["worker"].rpartition("-")[0]
        took_up = [
            line["at"] - line.get("seconds", 0)
            for line in (*self.of("JobStarted"), *self.of("JobFinished"))
            if (line["job"], line["worker"], line["attempt"]) == run
        ]
        return any(
            at < thawed and frozen < begin["at"]
            for frozen, thawed in self.frozen[name]
            for at in took_up
        )

    def story(self, job: str) -> str:
        """All that is known of a job."""
        told = [line for line in self.lines if line.get("job") == job]
        start = told[0]["at"] if told else 0
        lines = [
            f"  {line['at'] - start:8.3f} s  "
            + " ".join(f"{k}={v}" for k, v in line.items() if k not in ("at", "wall", "job"))
            for line in told
        ]
        record = self.state.records.get(job)
        return "\n".join([f"  job {job}", *lines, f"  record: {record}"])


def i1_every_accepted_job_has_ended(evidence: Evidence) -> Iterator[Violation]:
    records = evidence.state.records
    for job in sorted(evidence.accepted):
        state = records.get(job, {}).get("state", "gone")
        if state not in FINAL:
            yield Violation("I1", f"accepted, and now {state}", job)
    for job in sorted(records.keys() - evidence.asked.keys()):
        yield Violation("I1", "a record that nobody asked for", job)


def i2_every_end_was_counted_once(evidence: Evidence) -> Iterator[Violation]:
    meta = evidence.state.meta
    records = evidence.state.records.values()
    states = Counter(one.get("state", "") for one in records)
    crashed = sum(one.get("reason") in ("crashed", "orphan") for one in records)
    sums = {
        "complete": states["succeeded"],
        "bury": states["dead"] - crashed,
        "cancel": states["cancelled"],
        "expire": states["expired"],
        "enqueue": len(evidence.state.records),
        "orphan": 0,
    }
    for verb, found in sums.items():
        if int(meta.get(verb, 0)) != found:
            yield Violation("I2", f"{verb} was counted {meta.get(verb, 0)} times for {found} jobs")


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
    """A failure, a crash that was charged, a release, a snooze, or the death of its worker."""
    went_on = Counter(
        line["job"]
        for line in evidence.of("JobFinished")
        if line["ending"] in ("release", "snooze") and line["status"] == "recorded"
    )
    killed = {line["name"] for line in evidence.of("killed")}
    for job, begins in evidence.begins.items():
        record = evidence.state.records.get(job, {})
        crashes = sum(name.startswith("error_c") for name in record)
        died = sum(line["worker"].rpartition("-")[0] in killed for line in begins)
        most = 1 + evidence.raised[job] + went_on[job] + crashes + died
        if record and len(begins) > most:
            yield Violation("I4", f"ran {len(begins)} times, of which {most} had a reason", job)


def i5_no_job_is_in_two_places(evidence: Evidence) -> Iterator[Violation]:
    for job in {line["job"] for line in evidence.of("twin")}:
        yield Violation("I5", "stood in two places at once", job)


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


def i10_no_delayed_job_is_early(evidence: Evidence) -> Iterator[Violation]:
    for job, line in evidence.asked.items():
        delay = float(line["options"].get("delay", 0))
        for begin in evidence.begins[job][:1] if delay else ():
            early = line["at"] + delay - begin["at"]
            if early > 0.001:  # the server counts whole milliseconds
                yield Violation("I10", f"began {early * 1000:.0f} ms early", job)


def i11_what_reached_the_disk_is_there(evidence: Evidence) -> Iterator[Violation]:
    for line in evidence.of("answered"):
        is_new = line["status"] != "locked" and line.get("durability") == "fsync"
        if is_new and line["job"] not in evidence.state.records:
            yield Violation("I11", "was on the disk when it was accepted, and is gone", line["job"])


def i12_attempts_are_failures(evidence: Evidence) -> Iterator[Violation]:
    for job, record in evidence.state.records.items():
        errors = sum(name.startswith("error_") and name[6:].isdigit() for name in record)
        attempts = int(record.get("attempts", record.get("state") == "succeeded"))
        expected = errors + (record.get("state") == "succeeded")
        if attempts != expected and record.get("state") in ("succeeded", "dead"):
            yield Violation("I12", f"{attempts} attempts charged, {errors} errors kept", job)


def i14_nobody_is_still_registered(evidence: Evidence) -> Iterator[Violation]:
    for line in evidence.of("registry"):
        if line["workers"]:
            yield Violation("I14", f"still in the registry: {line['workers']}")


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


def released_jobs_run_elsewhere_at_once(evidence: Evidence) -> Iterator[Violation]:
    for seconds in times_to_take_over(evidence):
        if seconds > TAKEN_OVER_S:
            yield Violation("F30", f"a released job began only {seconds:.2f} s later")


def no_job_waits_for_three_seconds(evidence: Evidence) -> Iterator[Violation]:
    """What a lost answer had delivered is found; there are slots for all, and nobody dies."""
    accepted = {line["job"]: line["at"] for line in evidence.of("answered")}
    for job, begins in evidence.begins.items():
        if begins and "delay" not in evidence.asked[job]["options"]:  # I4 tells who never began
            begun = begins[0]["at"]
            at = accepted.get(job, begun)
            if begun - at > 3 and not evidence.stood_still(at, begun):
                yield Violation("F10", f"began only {begun - at:.1f} s after it was accepted", job)


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
    i11_what_reached_the_disk_is_there,
    i12_attempts_are_failures,
    i14_nobody_is_still_registered,
    i17_no_healthy_worker_was_fenced,
    i18_nobody_records_after_its_fence,
)
"""What holds after every scenario that does not say otherwise."""


def times_to_move(evidence: Evidence) -> tuple[list[float], int]:
    """Seconds from each kill of a worker that held jobs until they were moved.

    On a machine that stood still the reapers begin their watch afresh, and rightly so: such moves
    are not among them, but counted.
    """
    killed = {line["name"]: line["at"] for line in evidence.of("killed")}
    found: dict[str, float] = {}
    excused: set[str] = set()
    for line in evidence.of("WorkerReaped"):
        at = killed.get(line["worker"].rpartition("-")[0])
        if at is None:
            continue
        if evidence.stood_still(at, line["at"]):
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
