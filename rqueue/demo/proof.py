"""The sums that must add up. Pure: what was sent and what Redis says, in; sentences, out."""

from __future__ import annotations

from collections import Counter

import msgspec

from rqueue.demo.desk import Kill, Sent
from rqueue.demo.tasks import FLAKY_ATTEMPTS, doomed, flaky, index_file
from rqueue.job import JobInfo, JobState
from rqueue.store.calls.queues import QueueInfo

WORKER_DIED = "WorkerDied"
"""What the history of a job names a crash of its worker."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that the sums are made of.

    Attributes:
        sent: every job, as it was asked for.
        records: by job id, what Redis has recorded.
        queue: the queue's numbers after the last job.
        kill: which worker was killed, and what it held.
        files: how many files there are.
    """

    sent: tuple[Sent, ...]
    records: dict[str, JobInfo]
    queue: QueueInfo
    kill: Kill
    files: int

    def ended(self, state: JobState) -> list[JobInfo]:
        """The records of jobs that were sent and ended so."""
        found = (self.records.get(one.id) for one in self.sent)
        return [info for info in found if info is not None and info.state is state]

    def of_task(self, name: str) -> list[tuple[Sent, JobInfo]]:
        """What was sent of one task, with its records."""
        return [
            (one, self.records[one.id])
            for one in self.sent
            if one.task == name and one.id in self.records
        ]


class Sum(msgspec.Struct, frozen=True):
    """One claim.

    Attributes:
        claim: what is claimed.
        numbers: both sides of it.
        holds: whether they are equal.
    """

    claim: str
    numbers: str
    holds: bool

    def __str__(self) -> str:
        """The sentence for when it does not hold."""
        return f"does not add up: {self.claim}: {self.numbers}"


def sums(evidence: Evidence) -> list[Sum]:
    """Every claim of the demo."""
    return [
        _every_job_ended(evidence),
        _none_lost(evidence),
        _none_twice(evidence),
        _every_file(evidence),
        _recovered(evidence),
        _delays(evidence),
        _flaky(evidence),
        _dead_set(evidence),
        _empty(evidence.queue),
    ]


def crashed_with(info: JobInfo, worker: str) -> bool:
    """Whether a job's history says that this worker died holding it."""
    return any(error.type == WORKER_DIED and error.worker == worker for error in info.errors)


def recovered(evidence: Evidence) -> list[JobInfo]:
    """The jobs that were in the killed worker's hands and succeeded with another."""
    succeeded = evidence.ended(JobState.SUCCEEDED)
    return [info for info in succeeded if crashed_with(info, evidence.kill.worker)]


def _every_job_ended(evidence: Evidence) -> Sum:
    succeeded = len(evidence.ended(JobState.SUCCEEDED))
    dead = len(evidence.ended(JobState.DEAD))
    counted = evidence.queue.counters.get("enqueue", 0)
    told = f"{len(evidence.sent):,} = {succeeded:,} + {dead:,}"
    if counted != len(evidence.sent):
        told += f", but Redis took in {counted:,}"
    holds = len(evidence.sent) == succeeded + dead == counted
    return Sum("enqueued = succeeded + dead", told, holds)


def _none_lost(evidence: Evidence) -> Sum:
    states = Counter(
        info.state.value if (info := evidence.records.get(one.id)) else "gone"
        for one in evidence.sent
    )
    astray = {k: v for k, v in states.items() if k not in (JobState.SUCCEEDED, JobState.DEAD)}
    told = ", ".join(f"{count} {state}" for state, count in sorted(astray.items()))
    return Sum("no job was lost", told or "0 lost", not astray)


def _none_twice(evidence: Evidence) -> Sum:
    counters = evidence.queue.counters
    counted = counters.get("complete", 0), counters.get("bury", 0)
    found = len(evidence.ended(JobState.SUCCEEDED)), len(evidence.ended(JobState.DEAD))
    return Sum(
        "no job was recorded twice",
        f"{sum(counted):,} endings of {sum(found):,} jobs",
        counted == found,
    )


def _every_file(evidence: Evidence) -> Sum:
    done = [info for _, info in evidence.of_task(index_file.name) if info.result is not None]
    return Sum(
        "every file has its index",
        f"{len(done):,} results for {evidence.files:,} files",
        len(done) == evidence.files,
    )


def _recovered(evidence: Evidence) -> Sum:
    back = frozenset(info.id for info in recovered(evidence))
    held = evidence.kill.held
    return Sum(
        "the killed worker's jobs were recovered",
        f"{len(held)} held, {len(back)} recovered",
        bool(held) and back == held,
    )


def _delays(evidence: Evidence) -> Sum:
    delayed = [one for one in evidence.sent if one.delay_s]
    on_time = [one for one in delayed if _waited(one, evidence.records.get(one.id)) >= 0]
    return Sum(
        "no delayed job started early",
        f"{len(delayed)} delayed, {len(on_time)} waited",
        bool(delayed) and on_time == delayed,
    )


def _waited(sent: Sent, info: JobInfo | None) -> float:
    """Seconds from a job's time to its start; below 0 when it was early or never began."""
    if info is None or info.started_at is None or info.created_at is None:
        return -1.0
    # Milliseconds, as they were recorded: a difference of floats could be a hair too small.
    waited = info.started_at.timestamp() - info.created_at.timestamp()
    return round(waited * 1000) / 1000 - sent.delay_s


def _flaky(evidence: Evidence) -> Sum:
    attempts = [
        info.attempts if info.state is JobState.SUCCEEDED else 0
        for _, info in evidence.of_task(flaky.name)
    ]
    return Sum(
        "flaky failed twice, then succeeded",
        ", ".join(f"{one} attempts" if one else "no success" for one in attempts) or "no record",
        attempts == [FLAKY_ATTEMPTS],
    )


def _dead_set(evidence: Evidence) -> Sum:
    doomed_ids = {one.id for one in evidence.sent if one.task == doomed.name}
    dead_ids = {info.id for info in evidence.ended(JobState.DEAD)}
    return Sum(
        "only the doomed job is dead",
        f"{evidence.queue.dead} dead, {len(dead_ids & doomed_ids)} of them doomed",
        dead_ids == doomed_ids and evidence.queue.dead == len(doomed_ids),
    )


def _empty(queue: QueueInfo) -> Sum:
    ready = sum(queue.ready.values())
    return Sum(
        "the queue is empty",
        f"{ready} ready, {queue.running} running, {queue.scheduled} scheduled",
        not ready and not queue.running and not queue.scheduled,
    )
