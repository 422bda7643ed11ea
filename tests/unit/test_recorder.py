"""What a worker counts of each ending."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from rqueue.codec import encode_error
from rqueue.config import Buckets
from rqueue.envelope import Envelope
from rqueue.events import GroupsRestored, LoopStalled, WorkerFenced, WorkerReaped
from rqueue.job import AttemptError, Delivery
from rqueue.outcome import (
    Bury,
    Cancel,
    Complete,
    DeadReason,
    Expire,
    Outcome,
    Park,
    Release,
    SnoozeFor,
    TryAgain,
)
from rqueue.worker import recorder as recorders
from rqueue.worker import series
from rqueue.worker.recorder import UNKNOWN, Recorder
from rqueue.worker.series import OTHER
from rqueue.worker.settling import Ran
from rqueue.worker.tally import Histogram, QueueTally, Tally, TaskTally
from rqueue.worker.unsettled import Ending

BUCKETS = Buckets(run=(1.0, 10.0), wait=(1.0, 10.0))
READY_MS = 1_700_000_000_000
JOB = Delivery(
    queue="q", lane="normal", entry_id=f"{READY_MS}-3", job_id="j", envelope=b"", worker="w"
)
ERROR = encode_error(AttemptError(attempt=1, type="ValueError"))
LATE = encode_error(AttemptError(attempt=1, type="rqueue.errors.AttemptTimeout"))
NO_WAIT: dict[str, int] = {"unknown_task": 0, "decode": 0, "expired": 0}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(BUCKETS, {"t", "u"}.__contains__)


def ended(
    outcome: Outcome | None,
    task: str = "t",
    *,
    waited_ms: int = 2000,
    seconds: float = 0.5,
    begun: bool = True,
    **job: Any,
) -> Ending:
    delivery = msgspec.structs.replace(JOB, **job)
    ran = Ran(
        delivery=delivery,
        envelope=Envelope(task=task) if task else None,
        begun_ms=READY_MS + waited_ms if begun else 0,
    )
    return Ending(cast("Any", SimpleNamespace()), ran, outcome, seconds)


def of_task(*, run: Histogram | None = None, succeeded: int = 0, **counts: Any) -> TaskTally:
    """All counts are 0 but these."""
    told = TaskTally(run or Histogram([1, 0, 0], 0.5), succeeded)
    for name, values in counts.items():
        getattr(told, name).update(values)
    return told


def of_queue(
    total: Histogram | None = None, wait: Histogram | None = None, **counts: Any
) -> QueueTally:
    return QueueTally(wait or Histogram([0, 1, 0], 2.0), total or Histogram([0, 0, 0]), **counts)


NONE = Histogram([0, 0, 0])
TOTAL = Histogram([0, 1, 0], 2.5)


@pytest.mark.parametrize(
    ("ending", "task", "queue"),
    [
        (ended(Complete(result=b"")), of_task(succeeded=1), of_queue(TOTAL)),
        (
            ended(TryAgain(delay_ms=1, error=ERROR)),
            of_task(attempts={"failed": 1}, retries={"error": 1}, errors={"ValueError": 1}),
            of_queue(),
        ),
        (
            ended(TryAgain(delay_ms=1, error=LATE)),
            of_task(
                attempts={"timeout": 1},
                retries={"timeout": 1},
                errors={"rqueue.errors.AttemptTimeout": 1},
            ),
            of_queue(),
        ),
        (
            ended(Bury(reason=DeadReason.FAILED, error=ERROR)),
            of_task(attempts={"failed": 1}, ends={"dead": 1}, errors={"ValueError": 1}),
            of_queue(TOTAL),
        ),
        (
            ended(Cancel()),
            of_task(attempts={"cancelled": 1}, ends={"cancelled": 1}),
            of_queue(TOTAL),
        ),
        (ended(SnoozeFor(delay_ms=1)), of_task(retries={"snooze": 1}), of_queue()),
        (ended(Release()), of_task(), of_queue()),
        (
            ended(Expire(), begun=False),
            of_task(run=NONE, ends={"expired": 1}),
            of_queue(wait=NONE, rejected=NO_WAIT | {"expired": 1}),
        ),
        (
            ended(Bury(reason=DeadReason.DEADLINE, error=ERROR), begun=False),
            of_task(run=NONE, ends={"dead": 1}),
            of_queue(wait=NONE, rejected=NO_WAIT | {"expired": 1}),
        ),
        (
            ended(Bury(reason=DeadReason.ARGUMENTS, error=ERROR), begun=False),
            of_task(run=NONE, ends={"dead": 1}),
            of_queue(wait=NONE, rejected=NO_WAIT | {"decode": 1}),
        ),
        (
            ended(Cancel(), begun=False),
            of_task(run=NONE, ends={"cancelled": 1}),
            of_queue(wait=NONE),
        ),
        (
            ended(Park(delay_ms=1, limit=9, error=ERROR), begun=False),
            of_task(run=NONE),
            of_queue(wait=NONE, rejected=NO_WAIT | {"unknown_task": 1}),
        ),
    ],
    ids=lambda case: type(case.outcome).__name__ if isinstance(case, Ending) else "",
)
def test_each_ending_is_counted_once(
    recorder: Recorder, ending: Ending, task: TaskTally, queue: QueueTally
) -> None:
    recorder.settled(ending, "recorded")

    assert recorder.tally == Tally({("q", "t"): task}, {"q": queue})


@pytest.mark.parametrize("status", ["fenced", "stale", "lost"])
def test_what_is_somebody_elses_by_now_is_lost(recorder: Recorder, status: str) -> None:
    recorder.settled(ended(Complete(result=b"")), status)

    assert recorder.tally == Tally(
        {("q", "t"): of_task(run=NONE, attempts={"lost": 1})}, {"q": of_queue(wait=NONE)}
    )


@pytest.mark.parametrize("status", ["corrupt", "failed: no", "given up"])
def test_what_is_not_written_yet_is_not_counted_yet(recorder: Recorder, status: str) -> None:
    one = ended(Complete(result=b""))
    recorder.settled(one, status)
    recorder.settled(one, "recorded")

    assert recorder.tally == Tally({("q", "t"): of_task(succeeded=1)}, {"q": of_queue(TOTAL)})


def test_a_retry_takes_its_time_from_when_the_job_could_first_run(recorder: Recorder) -> None:
    recorder.settled(ended(Complete(result=b""), first_ready_ms=READY_MS - 20_000), "recorded")

    assert recorder.tally.queues["q"] == of_queue(Histogram([0, 0, 1], 22.5))


@pytest.mark.parametrize(("skew_ms", "waited_s"), [(3000.0, 5.0), (-1500.0, 0.5), (-3000.0, 0.0)])
def test_waits_are_measured_by_redis_clock(
    recorder: Recorder, skew_ms: float, waited_s: float
) -> None:
    recorder.skew_ms = skew_ms
    recorder.settled(ended(Complete(result=b"")), "recorded")

    assert recorder.tally.queues["q"].wait.sum == waited_s


def test_a_target_is_met_or_not_where_there_is_one(recorder: Recorder) -> None:
    recorder.targets = {"q": 2.0}
    for waited_ms, queue in ((1000, "q"), (2000, "q"), (2001, "q"), (9000, "r")):
        recorder.settled(ended(Complete(result=b""), waited_ms=waited_ms, queue=queue), "recorded")

    assert {name: (one.targeted, one.met) for name, one in recorder.tally.queues.items()} == {
        "q": (3, 2), "r": (0, 0),
    }  # fmt: skip


def test_only_tasks_that_are_known_have_names(recorder: Recorder) -> None:
    park = Park(delay_ms=1, limit=9, error=ERROR)
    for task in ("t", "x" * 999, "evil", ""):
        recorder.settled(ended(park, task, begun=False), "recorded")

    assert list(recorder.tally.tasks) == [("q", "t"), ("q", UNKNOWN)]


def test_beyond_the_most_that_have_series_all_count_together(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorders, "MOST_TASKS", 1)
    monkeypatch.setattr(recorders, "MOST_QUEUES", 1)
    monkeypatch.setattr(series, "MOST_ERRORS", 1)
    for task, queue in (("t", "q"), ("u", "q"), ("u", "r"), ("u", "r")):
        again = TryAgain(delay_ms=1, error=encode_error(AttemptError(attempt=1, type=queue)))
        recorder.settled(ended(again, task, queue=queue), "recorded")

    told = {place: one.attempts["failed"] for place, one in recorder.tally.tasks.items()}
    assert told == {("q", "t"): 1, ("q", OTHER): 1, ("r", OTHER): 2}
    assert sorted(recorder.tally.queues) == [OTHER, "q"]
    assert recorder.tally.tasks["r", OTHER].errors == {"r": 2}
    assert caplog.text.count("more than 1 tasks") == 2
    assert caplog.text.count("more than 1 queues; more count as _other") == 1
    for task in ("t", "u"):
        recorder(LoopStalled(queue="", task=task, seconds=2))
    assert recorder.tally.stalls == {"t": 1, OTHER: 1}


def test_what_runs_is_told_under_the_names_under_which_it_will_be_counted(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recorder.place("q", "t") == ("q", "t")
    assert recorder.queue("q") == "q"
    monkeypatch.setattr(recorders, "MOST_TASKS", 1)
    monkeypatch.setattr(recorders, "MOST_QUEUES", 1)
    for task in ("t", "nobody's"):
        recorder.settled(ended(Complete(result=b""), task), "recorded")

    places = [recorder.place("q", task) for task in ("t", "nobody's", "u")]
    assert places == [("q", "t"), ("q", OTHER), ("q", OTHER)]
    assert [recorder.queue(name) for name in ("q", "r")] == ["q", OTHER]


def test_what_happens_beside_the_jobs_is_counted_too(recorder: Recorder) -> None:
    recorder(LoopStalled(queue="", task="report", seconds=2))
    recorder(LoopStalled(queue="", task="", seconds=3))
    recorder(WorkerFenced(queue="mail", worker="w1", jobs=3))
    recorder(WorkerReaped(queue="mail", worker="w1", jobs=3))
    recorder(GroupsRestored(queue="mail", worker="w1"))

    counted = of_queue(wait=NONE, reclaimed=3, fenced=1, restored=1)
    assert recorder.tally == Tally({}, {"mail": counted}, {"report": 1, UNKNOWN: 1})


def test_the_worst_lag_of_the_last_half_minute_is_told(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(recorders, "monotonic", lambda: now[0])
    seen: list[float] = []
    for at, lag in ((0, 0.3), (10, 0.9), (20, 0.1), (35, 0.2), (41, 0.0), (66, 0.0)):
        now[0] = at
        recorder.lagged(lag)
        seen.append(recorder.lag_s)

    assert seen == [0.3, 0.9, 0.9, 0.9, 0.2, 0.0]
