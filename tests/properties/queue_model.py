"""What a queue must do, in plain Python: the rules of the design, told a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rqueue.job import Delivery
from rqueue.store.calls.jobs import NewJob
from rqueue.store.keys import LANES
from tests.support.queue_state import DAY, Entry

FINAL = {"succeeded", "dead", "cancelled", "expired"}
ENDS = {"complete": "succeeded", "bury": "dead", "cancel": "cancelled", "expire": "expired"}
WAITS = {"retry": "retrying", "snooze": "scheduled", "park": "scheduled"}
PARK_LIMIT = 2
DEFAULT_CAP = 3


@dataclass
class Job:
    id: str
    priority: str
    cap: int = 0
    digest: bytes = b""
    unique: str = ""
    known: bool = True
    state: str = "queued"
    lane: str = ""
    holder: str = ""
    entry: str = ""
    due: int = 0
    token: int = 0
    attempts: int = 0
    crashes: int = 0
    crashed_at: int = 0
    parked: int = 0
    mark: str = ""
    asked: bool = False


@dataclass
class Model:
    """Every job in one dict; a lane is the order of its entries."""

    now: int
    jobs: dict[str, Job] = field(default_factory=dict)
    lanes: dict[str, list[str]] = field(default_factory=lambda: {lane: [] for lane in LANES})
    dead: dict[str, int] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    paused: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def enqueue(self, new: NewJob) -> str:
        if (known := self.jobs.get(new.id)) is not None:
            return "duplicate" if known.digest == new.digest else "conflict"
        if self.is_locked(new.unique):
            return "locked"
        job = Job(new.id, new.priority, new.max_crashes, new.digest, new.unique)
        self.jobs[job.id] = job
        delay = int(new.due or 0)
        if delay > 0:
            job.state, job.due = "scheduled", self.now + delay
        else:
            self._add(job, job.priority)
        self.counts["enqueue"] += 1
        return "accepted"

    def foreign(self, job_id: str, lane: str) -> None:
        self.jobs[job_id] = Job(job_id, lane, known=False)
        self._add(self.jobs[job_id], lane)
        self.jobs[job_id].token = 0

    def fetch(self, worker: str, count: int, lanes: Iterable[str]) -> list[Job]:
        """The jobs that the worker holds from now on."""
        found: list[Job] = []
        for lane in lanes:
            free = (self.jobs[one] for one in self.lanes[lane] if not self.jobs[one].holder)
            found += list(free)[: count - len(found)]
        for job in found:
            job.holder = worker
        return found

    def finish(self, delivery: Delivery, verb: str, ms: int, recorded_entry: str) -> str:
        if delivery.worker not in self.leases:
            return "fenced"
        job = self.jobs.get(delivery.job_id)
        if job is None or not self.is_held(delivery):
            ended = job is not None and job.state != "queued"
            return "already" if ended and recorded_entry == delivery.entry_id else "lost"
        settled = self._settle(job, verb, ms)
        return "recorded" if settled == verb else settled

    def is_held(self, delivery: Delivery) -> bool:
        """Whether the worker still holds what it was given, lease or not."""
        job = self.jobs.get(delivery.job_id)
        given = ("queued", delivery.worker, delivery.token)
        return job is not None and (job.state, job.holder, job.token) == given

    def _settle(self, job: Job, verb: str, ms: int) -> str:
        """What it was settled as."""
        job.attempts += verb == "retry"
        if job.asked and verb not in ENDS:
            verb = "cancel"
        if verb == "park" and job.parked == PARK_LIMIT:
            verb = "bury"
        self.counts[verb] += 1
        job.known = True
        self._take(job)
        if verb in ENDS:
            self._end(job, ENDS[verb])
        elif verb == "release":
            self._add(job, job.lane if job.lane in ("suspect", "last") else "released")
        else:
            job.state, job.due = WAITS[verb], self.now + ms
            job.parked += verb == "park"
        return verb

    def promote(self, limit: int) -> int:
        due = sorted((job.due, job.id) for job in self.waiting() if job.due <= self.now)[:limit]
        for _, job_id in due:
            self._make_ready(self.jobs[job_id])
        self.counts["promote"] += len(due)
        return len(due)

    def _make_ready(self, job: Job) -> None:
        self._forget_crashes(job)
        self._add(job, self._suspects(job) if job.crashes else job.priority)

    def reap(self, worker: str, lane: str) -> list[str]:
        held = [job for job in map(self.jobs.get, self.lanes[lane]) if job and job.holder == worker]
        if worker in self.leases:
            return ["alive"] * len(held)
        self.counts["reap"] += len(held)
        return [self._crash(job) for job in held]

    def _crash(self, job: Job) -> str:
        self._forget_crashes(job)
        started = job.lane != "last" or job.mark == job.entry
        job.crashes += started
        job.known = True
        self._take(job)
        if job.asked:
            self.counts["cancel"] += 1
            return self._end(job, "cancelled")
        if job.crashes >= (job.cap or DEFAULT_CAP):
            self.counts["crash"] += 1
            return self._end(job, "dead")
        job.crashed_at = self.now if started else job.crashed_at
        return self._add(job, self._suspects(job))

    def _forget_crashes(self, job: Job) -> None:
        if self.now - job.crashed_at > DAY:
            job.crashes = 0

    def _suspects(self, job: Job) -> str:
        return "last" if job.crashes >= (job.cap or DEFAULT_CAP) - 1 else "suspect"

    def cancel(self, job_id: str) -> str:
        job = self.jobs.get(job_id)
        if job is None or not job.known:
            return "missing"
        if job.state in FINAL:
            return job.state
        if job.holder:
            job.asked = True
            return "requested"
        self._take(job)
        self.counts["cancel"] += 1
        return self._end(job, "cancelled")

    def reschedule(self, job_id: str, at: int) -> str:
        job = self.jobs.get(job_id)
        if job is None or not job.known:
            return "missing"
        if job.state in FINAL or job.holder:
            return job.state if job.state in FINAL else "running"
        is_due, was_queued = at <= self.now, job.state == "queued"
        if not (was_queued if is_due else job.due == at and not was_queued):
            self.counts["reschedule"] += 1
        if not is_due:
            self._take(job)
            job.state, job.due = "scheduled" if was_queued else job.state, at
            return "rescheduled"
        if not was_queued:
            self._make_ready(job)
        return "queued"

    def requeue(self, job_id: str) -> str:
        if job_id not in self.dead:
            return "missing"
        job = self.jobs[job_id]
        if self.is_locked(job.unique):
            return "locked"
        del self.dead[job_id]
        job.attempts = job.crashes = job.parked = 0
        job.mark = ""
        self.counts["requeue"] += 1
        self._add(job, job.priority)
        return "requeued"

    def discard(self, job_id: str) -> str:
        if job_id not in self.dead:
            return "missing"
        del self.dead[job_id], self.jobs[job_id]
        self.counts["discard"] += 1
        return "discarded"

    def _add(self, job: Job, lane: str) -> str:
        job.state, job.lane, job.holder = "queued", lane, ""
        job.token += 1
        self.lanes[lane].append(job.id)
        return lane

    def _take(self, job: Job) -> None:
        if job.state == "queued":
            self.lanes[job.lane].remove(job.id)
        job.holder = ""

    def _end(self, job: Job, state: str) -> str:
        job.state, job.asked = state, False
        if state == "dead":
            self.dead[job.id] = self.now
        else:
            job.unique = ""
        return state

    def waiting(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.state in WAITS.values()]

    def locks(self) -> dict[str, str]:
        live = (job for job in self.jobs.values() if job.state not in FINAL)
        return {job.unique: job.id for job in live if job.unique}

    def is_locked(self, unique: str) -> bool:
        return unique != "" and unique in self.locks()

    def asked_of(self) -> dict[str, str]:
        return {job.id: job.holder for job in self.jobs.values() if job.asked}

    def entries(self) -> dict[str, list[tuple[Any, ...]]]:
        """What ``seen_entries`` should find."""
        lanes = {lane: [self.jobs[one] for one in ids] for lane, ids in self.lanes.items() if ids}
        return {
            lane: [(job.id, job.holder, job.token, job.attempts, job.crashes) for job in found]
            for lane, found in lanes.items()
        }

    def states(self) -> dict[str, tuple[Any, ...]]:
        """What ``seen_states`` should find."""
        return {
            job.id: (job.state, job.attempts, job.unique, job.asked)
            for job in self.jobs.values()
            if job.known
        }


def seen_entries(lanes: dict[str, list[Entry]]) -> dict[str, list[tuple[Any, ...]]]:
    numbers: Sequence[str] = ("token", "attempts", "crashes")
    return {
        lane: [
            (one.fields["id"], one.owner, *(int(one.fields.get(name, 0)) for name in numbers))
            for one in found
        ]
        for lane, found in lanes.items()
    }


def seen_states(records: dict[str, dict[str, str]]) -> dict[str, tuple[Any, ...]]:
    return {
        job_id: (
            told["state"],
            int(told.get("attempts", 0)),
            told.get("unique", ""),
            "cancel" in told,
        )
        for job_id, told in records.items()
    }
