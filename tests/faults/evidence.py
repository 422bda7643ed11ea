"""What the checks read: the history, by what it tells of, and what Redis holds at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from tests.faults.history import Line
from tests.support.queue_state import QueueState

VERBS = {"succeeded": "complete", "dead": "bury", "cancelled": "cancel", "expired": "expire"}
"""The states in which a job has ended, and the verbs that lead there."""
ENDINGS = set(VERBS.values())
FINAL = set(VERBS)


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
        texts: what was told to anybody, by where it stands.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        state: QueueState,
        lease_s: float,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.lines = lines
        self.state = state
        self.lease_s = lease_s
        self.texts = texts or {}
        self.asked = {line["job"]: line for line in lines if line["event"] == "asked"}
        self.answers: dict[str, list[str]] = defaultdict(list)
        for line in lines:
            if line["event"] == "answered":
                self.answers[line["job"]].append(line["status"])
        self.accepted = {job for job, said in self.answers.items() if said[-1] != "locked"}
        self.unknown = {line["job"] for line in lines if line["event"] == "unknown"}
        self.begins: dict[str, list[Line]] = defaultdict(list)
        self.raised: dict[str, list[Line]] = defaultdict(list)
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
                self.raised[line["job"]].append(line)

    def of(self, event: str) -> list[Line]:
        return [line for line in self.lines if line["event"] == event]

    def stood_still(self, begin: float, end: float) -> bool:
        """Whether the machine did, some time in between: no bound in time holds then."""
        return any(begin < line["at"] < end for line in self.of("machine stalled"))

    def watched(self, begin: float, end: float) -> bool:
        """Whether a reaper could keep its watch all that time, or none had to begin anew.

        One that starved, or whose look was answered late, has to: the promise is for reapers that
        get to look.
        """
        anew = [
            line["name"]
            for line in self.of("watch anew")
            if line["at"] - line["seconds"] < end and line["at"] > begin
        ]
        return not anew or bool(self._lived(begin, end) - {*anew})

    def _lived(self, begin: float, end: float) -> set[str]:
        """Workers and schedulers that were ready before, and neither ended nor froze till after."""
        reapers = [line for line in self.of("ready") if line["name"][0] in "ws"]
        ready = {line["name"] for line in reapers if line["at"] <= begin}
        over = {
            line["name"] for line in (*self.of("killed"), *self.of("ended")) if line["at"] < end
        }
        frozen = {
            name
            for name, spans in self.frozen.items()
            if any(at < end and thawed > begin for at, thawed in spans)
        }
        return ready - over - frozen

    def stopped(self, worker: str, begin: float, end: float) -> bool:
        """Whether a worker was frozen, or the machine stood still, some time in between."""
        frozen = self.frozen.get(worker.rpartition("-")[0], ())
        return self.stood_still(begin, end) or any(at < end and t > begin for at, t in frozen)

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

    def unended(self) -> list[str]:
        """Accepted jobs that have not ended, in the order of their answers.

        Where Redis has told nothing, the history says which have.
        """
        records = self.state.records
        if records:
            ended = {job for job, one in records.items() if one.get("state") in FINAL}
        else:
            told = self.of("JobFinished")
            ended = {
                line["job"]
                for line in told
                if line["ending"] in ENDINGS and line["status"] == "recorded"
            }
        return [job for job in self.answers if job in self.accepted - ended]

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
