"""reschedule: a job that waits gets another time; if that has come already, it is queued."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import jobs
from rqueue.store.keys import Field
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import DAY, NOW, QueueState, entry, queued, record

WAITING = record("scheduled", envelope="call", priority="normal")
PUSHED = WAITING | {"token": "1"}
SOONER, LATER = f"{NOW + 1000}", f"{NOW + 9000}"
NOWS = pytest.mark.parametrize("due", ["+0", "0", f"{NOW}", f"{NOW - 1}"])


def failed(queue: Bench, **changes: Any) -> None:
    """A job in its wait for the second attempt, due in five seconds."""
    job = queue.taken(new_job("j1", **changes))
    queue.finish(ending(job, "retry", ms=5000, fields=(Field.ATTEMPTS, 1)))


@pytest.mark.parametrize(
    ("due", "at"),
    [(SOONER, NOW + 1000), ("+1000", NOW + 1000), (LATER, NOW + 9000), ("+9000", NOW + 9000)],
)
def test_a_delayed_job_is_pulled_forward_or_pushed_back(queue: Bench, due: str, at: int) -> None:
    queue.enqueue(new_job("j1", due="+5000", unique="user:7"))

    assert queue.reschedule("j1", due) == "rescheduled"

    assert queue.state() == QueueState(
        records={"j1": WAITING | {"unique": "user:7"}},
        schedule={"j1": at},
        unique={"user:7": "j1"},
        meta={"enqueue": "1", "reschedule": "1"},
    )


@pytest.mark.parametrize("verb", ["retry", "snooze", "park"])
def test_a_job_that_waits_for_another_attempt_gets_another_time(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, verb, ms=5000, detail="9"))
    before = queue.exact()

    assert queue.reschedule("j1", LATER) == "rescheduled"

    after = queue.exact()
    assert (after.records, after.schedule) == (before.records, {"j1": NOW + 9000})


@NOWS
@pytest.mark.parametrize("priority", ["critical", "high", "normal", "low"])
def test_a_delayed_job_that_is_due_now_goes_to_the_stream_of_its_priority(
    queue: Bench, priority: str, due: str
) -> None:
    queue.enqueue(new_job("j1", due="+5000", priority=priority, unique="a", max_crashes=7))

    assert queue.reschedule("j1", due) == "queued"

    assert queue.state() == QueueState(
        records={"j1": queued(priority, unique="a", max_crashes=7)},
        lanes={priority: [entry("j1", max_crashes=7)]},
        unique={"a": "j1"},
        meta={"enqueue": "1", "reschedule": "1"},
    )


def test_the_next_attempt_of_a_failed_job_begins_now_with_its_attempts_and_token(
    queue: Bench,
) -> None:
    failed(queue, priority="high")

    assert queue.reschedule("j1", "+0") == "queued"

    assert queue.state() == QueueState(
        records={"j1": queued("high", attempts=1)},
        lanes={"high": [entry("j1", token=2, attempts=1)]},
        leases={"w1": 1},
        meta={"enqueue": "1", "retry": "1", "reschedule": "1"},
    )


@pytest.mark.parametrize(("cap", "lane"), [(3, "suspect"), (2, "last")])
def test_a_suspect_that_waits_goes_back_to_the_suspects(queue: Bench, cap: int, lane: str) -> None:
    queue.taken(new_job("j1", max_crashes=cap))
    queue.fence("w1")
    queue.reap()
    queue.register("w2")
    (job,) = queue.fetch("w2")
    queue.finish(ending(job, "snooze", ms=2 * DAY), worker="w2")

    assert queue.reschedule("j1", "+0", now=NOW + DAY) == "queued"

    assert queue.state().lanes == {
        lane: [entry("j1", token=3, priority="normal", crashes=1, crashed_at=NOW, max_crashes=cap)]
    }


def test_a_queued_job_is_taken_out_of_its_stream(queue: Bench) -> None:
    queue.enqueue(new_job("j1", unique="user:7", max_crashes=7), new_job("j2"))

    assert queue.reschedule("j1", LATER) == "rescheduled"

    assert queue.state() == QueueState(
        records={"j1": PUSHED | {"unique": "user:7", "max_crashes": "7"}, "j2": queued()},
        lanes={"normal": [entry("j2")]},
        schedule={"j1": NOW + 9000},
        unique={"user:7": "j1"},
        meta={"enqueue": "2", "reschedule": "1"},
    )


def test_a_queued_job_that_was_pushed_back_comes_back_as_it_was(queue: Bench) -> None:
    failed(queue, priority="low", max_crashes=7)
    queue.promote("j1", now=NOW + 5000)

    assert queue.reschedule("j1", LATER) == "rescheduled"
    assert queue.promote("j1", now=NOW + 9000) == ["promoted"]

    assert queue.state().lanes == {"low": [entry("j1", token=3, attempts=1, max_crashes=7)]}


@pytest.mark.parametrize("lane", ["released", "suspect", "last"])
def test_a_job_in_an_inner_lane_keeps_its_priority_and_its_crashes(queue: Bench, lane: str) -> None:
    job = queue.taken(new_job("j1", priority="high", max_crashes=2 if lane == "last" else 9))
    if lane == "released":
        queue.finish(ending(job, "release"))
    else:
        queue.fence("w1")
        queue.reap(lane="high")
    (before,) = queue.state().lanes[lane]

    assert queue.reschedule("j1", LATER) == "rescheduled"
    assert queue.state().lanes == {}
    queue.promote("j1", now=NOW + 9000)

    ((place, (after,)),) = queue.state().lanes.items()
    assert place == ("high" if lane == "released" else lane)
    expected = before.fields | {"token": "3"}
    if lane == "released":
        del expected["priority"]  # it is that of the stream
    assert after.fields == expected


@NOWS
def test_a_queued_job_that_is_due_now_stays_where_it_is(queue: Bench, due: str) -> None:
    queue.enqueue(new_job("j1"))
    before = queue.exact()

    assert queue.reschedule("j1", due) == "queued"

    assert queue.exact() == before


@pytest.mark.parametrize("due", ["+0", "+5000"])
def test_a_job_that_runs_stays_with_its_worker(queue: Bench, due: str) -> None:
    queue.taken(new_job("j1"))
    before = queue.exact()

    assert queue.reschedule("j1", due) == "running"

    assert queue.exact() == before


@pytest.mark.parametrize("due", ["+0", "+5000"])
@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("complete", "succeeded"),
        ("bury", "dead"),
        ("cancel", "cancelled"),
        ("expire", "expired"),
    ],
)
def test_a_job_that_has_ended_stays_as_it_is(queue: Bench, verb: str, state: str, due: str) -> None:
    queue.finish(ending(queue.taken(new_job("j1")), verb))
    before = queue.exact()

    assert queue.reschedule("j1", due) == state

    assert queue.exact() == before


def test_a_job_that_nobody_knows_is_missing(queue: Bench) -> None:
    queue.foreign(i="f1", m="call")
    before = queue.exact()

    assert [queue.reschedule(one, "+5") for one in ("j1", "f1")] == ["missing", "missing"]

    assert queue.exact() == before


@pytest.mark.parametrize("due", ["+0", "+9000"])
@pytest.mark.parametrize("delay", ["", "+5000"])
def test_asking_twice_is_the_same_as_once(queue: Bench, delay: str, due: str) -> None:
    queue.enqueue(new_job("j1", due=delay))
    said = queue.reschedule("j1", due)
    before = queue.exact()

    assert queue.reschedule("j1", due) == said

    assert queue.exact() == before


def test_the_scheduler_is_woken_only_when_the_job_becomes_the_first(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{n}", due=f"+{n}000") for n in (2, 4, 6)))

    with queue.listening(queue.keys.wake) as heard:
        queue.reschedule("j6", "+3000")
        queue.reschedule("j6", "+1000")
        queue.reschedule("j2", "+9000")
        queue.reschedule("j4", "+0")

    assert heard == [(queue.keys.wake, str(NOW + 1000))]


def test_a_job_that_moved_between_the_two_steps_is_asked_for_again(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    flow = jobs.reschedule(queue.keys, "j1", LATER, str(NOW))
    told = queue.step(next(flow))
    queue.finish(ending(job, "release"))
    before = queue.exact()

    answer = queue.step(flow.send(told))

    assert answer == "changed"
    assert queue.exact() == before
    read_again = flow.send(answer)
    assert queue.step(flow.send(queue.step(read_again))) == "rescheduled"
    assert queue.state().lanes == {}


def test_a_worker_that_comes_back_with_an_entry_from_before_can_record_nothing(
    queue: Bench,
) -> None:
    """As after a failover: what it was given stands in no list of what is pending."""
    job = queue.taken(new_job("j1"))
    queue.client.execute_command("XACK", queue.keys.stream("normal"), "workers", job.entry_id)
    assert queue.reschedule("j1", LATER) == "rescheduled"
    before = queue.exact()

    assert queue.finish(ending(job, "complete")) == ["lost"]

    assert queue.exact() == before


@pytest.mark.parametrize("due", ["+0", "+9000"])
@pytest.mark.parametrize("delay", ["", "+5000"])
@pytest.mark.parametrize("key", ["schedule", "meta", "stream", "job"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(
    queue: Bench, key: str, delay: str, due: str
) -> None:
    queue.enqueue(new_job("j1", due=delay))
    names = {"stream": queue.keys.stream("normal"), "job": queue.keys.job("j1")}
    name = names.get(key) or getattr(queue.keys, key)
    queue.client.delete(name)
    queue.client.set(name, "of a wrong type")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        queue.reschedule("j1", due)

    assert queue.exact() == before


@pytest.mark.parametrize(
    "fields",
    [{"i": "other", "m": "call", "t": "1"}, {"m": "call"}, {"i": "", "m": "call"}],
    ids=["of another job", "of no name", "of an empty name"],
)
def test_an_entry_that_is_not_this_jobs_is_left_alone(queue: Bench, fields: dict[str, str]) -> None:
    """Entry ids repeat after a failover to a replica that lacked them."""
    queue.enqueue(new_job("j1"))
    queue.note("j1", Field.ENTRY, queue.foreign(**fields))
    before = queue.exact()

    with pytest.raises(CorruptKey):
        queue.reschedule("j1", LATER)

    assert queue.exact() == before


@pytest.mark.parametrize("entry_id", ["", "abc", "9" * 30 + "-1", "1-1"])
def test_a_queued_job_that_stands_nowhere_is_an_alarm(queue: Bench, entry_id: str) -> None:
    queue.enqueue(new_job("j1"))
    queue.note("j1", Field.ENTRY, entry_id)
    before = queue.exact()

    with pytest.raises(CorruptKey):
        queue.reschedule("j1", LATER)

    assert queue.exact() == before
