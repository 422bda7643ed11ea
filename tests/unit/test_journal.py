"""What a worker process has counted stands where it outlives the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rqueue.codec import encode_error
from rqueue.config import Buckets
from rqueue.envelope import Envelope
from rqueue.events import GroupsRestored, LoopStalled
from rqueue.job import AttemptError, Delivery
from rqueue.outcome import Complete, Outcome, TryAgain
from rqueue.worker import journal
from rqueue.worker import recorder as recorders
from rqueue.worker.journal import Journal
from rqueue.worker.recorder import Recorder
from rqueue.worker.settling import Ran
from rqueue.worker.unsettled import Ending

BUCKETS = Buckets(run=(1.0, 10.0), wait=(1.0, 10.0))
READY_MS = 1_700_000_000_000
QUEUES, TASKS = ("q", "r", "s"), ("t", "u", "v")


def ended(queue: str, task: str, seconds: float, error: str = "") -> Ending:
    job = Delivery(
        queue=queue, lane="normal", entry_id=f"{READY_MS}-3", job_id="j", envelope=b"", worker="w"
    )
    begun_ms = READY_MS + round(seconds * 500)
    ran = Ran(delivery=job, envelope=Envelope(task=task), begun_ms=begun_ms)
    outcome: Outcome = Complete(result=b"")
    if error:
        outcome = TryAgain(delay_ms=1, error=encode_error(AttemptError(attempt=1, type=error)))
    return Ending(cast("Any", SimpleNamespace()), ran, outcome, seconds)


@pytest.fixture
def descriptor() -> Iterator[int]:
    created = journal.create()
    yield created
    os.close(created)


def writes_to(descriptor: int, recorder: Recorder) -> Recorder:
    recorder.journal = Journal(os.dup(descriptor))
    return recorder


def test_where_nothing_was_written_nothing_stands(descriptor: int) -> None:
    Journal(os.dup(descriptor))

    assert journal.read(descriptor) is None


endings = st.builds(
    ended,
    st.sampled_from(QUEUES),
    st.sampled_from((*TASKS, "stranger")),
    st.floats(0, 100, width=16),
    st.sampled_from(["", "ValueError", "KeyError"]),
)
events = st.sampled_from(
    [GroupsRestored(queue="q", worker="w"), LoopStalled(queue="", task="t", seconds=2)]
)


@given(
    st.lists(st.lists(st.one_of(endings, events), max_size=5), max_size=8),
    st.sets(st.integers(0, 7)),
    st.booleans(),
)
def test_what_was_written_after_each_batch_is_all_that_was_counted(
    batches: list[list[Any]], restarts: set[int], has_few: bool
) -> None:
    descriptor = journal.create()
    with pytest.MonkeyPatch.context() as patch:
        if has_few:
            patch.setattr(recorders, "MOST_QUEUES", 2)
            patch.setattr(recorders, "MOST_TASKS", 2)
        recorder = writes_to(descriptor, Recorder(BUCKETS, TASKS.__contains__))
        for number, batch in enumerate(batches):
            for one in batch:
                if isinstance(one, Ending):
                    recorder.settled(one, "recorded")
                else:
                    recorder(one)
            if number in restarts or not any(isinstance(one, Ending) for one in batch):
                assert recorder.journal is not None
                recorder.journal.restart(recorder.counted())
            else:
                recorder.write_down()
                # Of queues what is no ending is told by the next report.
                assert journal.read(descriptor).tasks == recorder.tally.tasks  # type: ignore[union-attr]
        assert recorder.journal is not None
        recorder.journal.restart(recorder.counted())
        recorder.write_down()
        found = journal.read(descriptor)
    os.close(descriptor)

    assert found == recorder.tally


def test_a_journal_that_is_full_begins_anew_with_everything(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_HALF", 2000)
    recorder = writes_to(descriptor, Recorder(BUCKETS, TASKS.__contains__))

    for n in range(100):
        recorder.settled(ended("q", TASKS[n % 3], 0.5), "recorded")
        recorder.write_down()
        assert journal.read(descriptor) == recorder.tally


def begins_anew(recorder: Recorder) -> None:
    assert recorder.journal is not None
    recorder.journal.restart(recorder.counted())


@pytest.mark.parametrize("write", [Recorder.write_down, begins_anew], ids=["adds", "begins anew"])
def test_a_process_that_dies_while_it_writes_leaves_what_stood_there(
    descriptor: int, write: Callable[[Recorder], None]
) -> None:
    recorder = writes_to(descriptor, Recorder(BUCKETS, TASKS.__contains__))
    recorder.settled(ended("q", "t", 0.5), "recorded")
    recorder.write_down()
    told, before = os.pread(descriptor, 8, 0), journal.read(descriptor)
    recorder.settled(ended("q", "t", 0.5), "recorded")
    write(recorder)
    assert journal.read(descriptor) != before

    os.pwrite(descriptor, told, 0)  # all is written by then, and not in force yet

    assert journal.read(descriptor) == before
    assert before is not None
    assert before.tasks["q", "t"].succeeded == 1


def test_where_no_file_in_memory_may_be_made_a_folder_for_short_files_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(_name: str) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", forbidden, raising=False)
    descriptor = journal.create()

    assert journal.read(descriptor) is None
    os.close(descriptor)


def test_what_does_not_fit_is_left_to_the_reports(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = writes_to(descriptor, Recorder(BUCKETS, TASKS.__contains__))
    recorder.settled(ended("q", "t", 0.5), "recorded")
    recorder.write_down()
    monkeypatch.setattr(journal, "_HALF", 100)

    for _ in range(3):
        recorder.settled(ended("q", "t", 0.5), "recorded")
        recorder.write_down()
        assert journal.read(descriptor) is None

    told = (
        "metrics: 1 series are more than fit where they outlive this process; if it is killed, "
        "what it counted in its last second is lost"
    )
    assert [one.message for one in caplog.records] == [told]


def test_what_somebody_else_wrote_there_is_an_error(descriptor: int) -> None:
    recorder = writes_to(descriptor, Recorder(BUCKETS, TASKS.__contains__))
    recorder.settled(ended("q", "t", 0.5), "recorded")
    recorder.write_down()

    os.pwrite(descriptor, b"\xff" * 300_000, 8)

    with pytest.raises((msgspec.MsgspecError, ValueError)):
        journal.read(descriptor)


def test_where_files_in_memory_have_no_name_a_folder_for_short_files_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = journal.create()
    recorder = writes_to(descriptor, Recorder(BUCKETS, TASKS.__contains__))
    recorder.settled(ended("q", "t", 0.5), "recorded")
    recorder.write_down()

    assert journal.read(descriptor) == recorder.tally
    os.close(descriptor)
