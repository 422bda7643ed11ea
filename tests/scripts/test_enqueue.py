"""enqueue: new jobs, ready now or due later; each is answered on its own."""

from __future__ import annotations

import pytest

from rqueue.store.calls import jobs
from rqueue.store.calls.jobs import Enqueued
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued, record


def test_a_job_gets_a_record_and_a_place_in_its_stream(queue: Bench) -> None:
    assert queue.enqueue(new_job("j1")) == ["accepted"]

    assert queue.state() == QueueState(
        records={"j1": queued("normal")},
        lanes={"normal": [entry("j1")]},
        meta={"enqueue": "1"},
    )


@pytest.mark.parametrize("priority", ["critical", "high", "normal", "low"])
def test_a_job_stands_in_the_stream_of_its_priority(queue: Bench, priority: str) -> None:
    assert queue.enqueue(new_job("j1", priority=priority)) == ["accepted"]

    assert queue.state() == QueueState(
        records={"j1": queued(priority)},
        lanes={priority: [entry("j1")]},
        meta={"enqueue": "1"},
    )


@pytest.mark.parametrize("due", ["+5000", str(NOW + 5000)])
def test_a_delayed_job_waits_in_the_schedule_with_its_envelope(queue: Bench, due: str) -> None:
    assert queue.enqueue(new_job("j1", due=due, priority="high")) == ["accepted"]

    assert queue.state() == QueueState(
        records={"j1": record("scheduled", envelope="call", priority="high")},
        schedule={"j1": NOW + 5000},
        meta={"enqueue": "1"},
    )


@pytest.mark.parametrize("due", ["+0", str(NOW), str(NOW - 1)])
def test_a_job_that_is_due_already_goes_to_its_stream(queue: Bench, due: str) -> None:
    assert queue.enqueue(new_job("j1", due=due)) == ["accepted"]

    assert queue.state() == QueueState(
        records={"j1": queued("normal")},
        lanes={"normal": [entry("j1")]},
        meta={"enqueue": "1"},
    )


def test_a_cap_on_crashes_stands_in_the_record_and_travels_with_the_entry(queue: Bench) -> None:
    queue.enqueue(new_job("j1", max_crashes=7))

    assert queue.state() == QueueState(
        records={"j1": queued("normal", max_crashes=7)},
        lanes={"normal": [entry("j1", max_crashes=7)]},
        meta={"enqueue": "1"},
    )


def test_jobs_keep_the_order_in_which_they_came(queue: Bench) -> None:
    queue.enqueue(new_job("j3"), new_job("j1"))
    queue.enqueue(new_job("j2"))

    assert queue.state().lanes == {"normal": [entry("j3"), entry("j1"), entry("j2")]}


@pytest.mark.parametrize("due", ["", "+5000"])
def test_the_same_job_again_is_a_duplicate_and_changes_nothing(queue: Bench, due: str) -> None:
    job = new_job("j1", due=due, unique="user:7")
    queue.enqueue(job)
    before = queue.exact()

    assert queue.enqueue(job, job) == ["duplicate", "duplicate"]

    assert queue.exact() == before


@pytest.mark.parametrize("again", ["j1", "j2"])
def test_what_is_there_already_changes_nothing_either_if_it_is_to_be_waited_for(
    queue: Bench, again: str
) -> None:
    queue.enqueue(new_job("j1", unique="user:7"))
    before = queue.exact()

    call = jobs.enqueue(queue.keys, [new_job(again, unique="user:7")], str(NOW), waits=True)
    answers = [answer.status for answer in queue.send(call)]

    assert answers == ["duplicate" if again == "j1" else "locked"]
    assert queue.exact() == before


def test_jobs_that_are_waited_for_are_made_as_all_others(queue: Bench) -> None:
    new = [new_job("j1"), new_job("j1"), new_job("j2", due="+5000")]

    answers = queue.send(jobs.enqueue(queue.keys, new, str(NOW), waits=True))

    assert [answer.status for answer in answers] == ["accepted", "duplicate", "accepted"]
    assert queue.state() == QueueState(
        records={
            "j1": queued("normal"),
            "j2": record("scheduled", envelope="call", priority="normal"),
        },
        lanes={"normal": [entry("j1")]},
        schedule={"j2": NOW + 5000},
        meta={"enqueue": "2"},
    )


def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    before = queue.exact()

    assert queue.enqueue(new_job("j1", digest=b"other")) == ["conflict"]

    assert queue.exact() == before


@pytest.mark.parametrize("verb", ["complete", "bury", "cancel", "expire"])
def test_a_job_that_ended_is_remembered_against_its_own_retry(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, verb))
    before = queue.exact()

    assert queue.enqueue(new_job("j1"), new_job("j1", digest=b"x")) == ["duplicate", "conflict"]

    assert queue.exact() == before


def test_one_batch_with_an_id_twice_makes_one_job(queue: Bench) -> None:
    assert queue.enqueue(new_job("j1"), new_job("j1")) == ["accepted", "duplicate"]

    assert queue.state() == QueueState(
        records={"j1": queued("normal")},
        lanes={"normal": [entry("j1")]},
        meta={"enqueue": "1"},
    )


@pytest.mark.parametrize("due", ["", "+5000"])
def test_a_unique_key_is_locked_by_the_first_that_asks(queue: Bench, due: str) -> None:
    first = new_job("j1", unique="user:7", due=due)
    queue.enqueue(first)
    before = queue.exact()

    answers = queue.send(jobs.enqueue(queue.keys, [new_job("j2", unique="user:7")], str(NOW)))

    assert answers == [Enqueued("locked", "j1")]
    assert queue.exact() == before
    assert before.unique == {"user:7": "j1"}
    assert before.records["j1"]["unique"] == "user:7"


def test_within_one_batch_the_first_gets_the_unique_key(queue: Bench) -> None:
    answers = queue.enqueue(
        new_job("j1", unique="a"), new_job("j2", unique="a"), new_job("j3", unique="b")
    )

    assert answers == ["accepted", "locked", "accepted"]
    assert queue.state() == QueueState(
        records={"j1": queued("normal", unique="a"), "j3": queued("normal", unique="b")},
        lanes={"normal": [entry("j1"), entry("j3")]},
        unique={"a": "j1", "b": "j3"},
        meta={"enqueue": "2"},
    )


def test_a_retry_of_the_holder_itself_is_a_duplicate_and_not_locked(queue: Bench) -> None:
    queue.enqueue(new_job("j1", unique="user:7"))

    assert queue.enqueue(new_job("j1", unique="user:7")) == ["duplicate"]


def test_a_refused_job_does_not_hinder_the_others_of_its_batch(queue: Bench) -> None:
    queue.client.set(queue.keys.job("j2"), "not a hash")

    answers = queue.enqueue(new_job("j1"), new_job("j2"), new_job("j3"))

    assert answers == ["accepted", "corrupt", "accepted"]
    state = queue.state()
    assert state.lanes == {"normal": [entry("j1"), entry("j3")]}
    assert sorted(state.records) == ["j1", "j3"]
    assert state.meta == {"enqueue": "2"}


def test_the_scheduler_is_woken_for_the_earliest_job_only(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5000"))

    with queue.listening(queue.keys.wake) as heard:
        queue.enqueue(new_job("later", due="+6000"))
        queue.enqueue(new_job("earlier", due="+4000"))
        queue.enqueue(new_job("now"))

    assert heard == [(queue.keys.wake, str(NOW + 4000))]


def test_an_answer_that_was_lost_reads_as_accepted_when_asked_again(queue: Bench) -> None:
    call = jobs.enqueue(queue.keys, [new_job("j1")], str(NOW))
    queue.send(call)

    assert call.parse_repeat([[b"duplicate"]]) == [Enqueued("accepted")]
    assert call.parse_repeat([[b"conflict"]]) == [Enqueued("conflict")]
