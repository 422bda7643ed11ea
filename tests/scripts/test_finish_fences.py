"""finish refuses what is not this worker's to settle: each layer holds without the others."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.job import Delivery
from rqueue.store.keys import GROUP, Field
from tests.support.bench import VERBS, Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued

every_verb = pytest.mark.parametrize("verb", VERBS)


def finish(queue: Bench, job: Delivery, verb: str, worker: str = "w1") -> list[str] | str:
    return queue.finish(ending(job, verb, detail="9", unique="user:7"), worker=worker)


@every_verb
def test_a_worker_that_lost_its_lease_can_record_nothing(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    queue.fence("w1")
    before = queue.exact()

    assert finish(queue, job, verb) == "fenced"

    assert queue.exact() == before


@every_verb
def test_a_fenced_worker_can_record_nothing_after_its_job_went_to_another(
    queue: Bench, verb: str
) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    queue.fence("w1")
    queue.reap("w1")
    queue.register("w2")
    queue.fetch("w2")
    before = queue.exact()

    assert finish(queue, job, verb) == "fenced"

    assert queue.exact() == before


@every_verb
def test_the_lease_of_another_does_not_help(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    queue.fence("w1")
    queue.reap("w1")
    queue.register("w2")
    queue.fetch("w2")
    before = queue.exact()

    assert finish(queue, job, verb, worker="w2") == ["lost"]

    assert queue.exact() == before


@every_verb
def test_a_copy_of_a_job_that_moved_on_is_removed_and_nothing_else(queue: Bench, verb: str) -> None:
    queue.taken(new_job("j1", unique="user:7"), worker="w2")
    queue.foreign("normal", i="j1", m="call", t="1")
    copy = queue.taken()

    assert finish(queue, copy, verb) == ["stale"]

    assert queue.state() == QueueState(
        records={"j1": queued("normal", unique="user:7")},
        lanes={"normal": [entry("j1", "w2")]},
        unique={"user:7": "j1"},
        leases={"w1": 1, "w2": 1},
        meta={"enqueue": "1"},
    )


@every_verb
def test_a_copy_of_a_job_that_ended_is_removed_and_nothing_else(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "complete"))
    before = queue.state()
    queue.foreign("normal", i="j1", m="call", t="1")
    (copy,) = queue.fetch()

    assert finish(queue, copy, verb) == ["stale"]

    assert queue.state() == before


@every_verb
def test_an_entry_that_carries_another_job_is_not_touched(queue: Bench, verb: str) -> None:
    """After a failover an entry id may come again, for another job."""
    queue.register("w1")
    queue.enqueue(new_job("j1"), new_job("j2", unique="user:7"))
    other, _ = queue.fetch()
    queue.note("j2", Field.ENTRY, "1-1")
    wrong = ending(other, verb, detail="9", unique="user:7").delivery
    before = queue.exact()

    mistaken = Delivery(**{**_as_dict(wrong), "job_id": "j2"})
    assert finish(queue, mistaken, verb) == ["lost"]

    assert queue.exact() == before


@every_verb
def test_an_entry_that_is_not_pending_is_not_recorded(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    queue.client.xack(queue.keys.stream("normal"), GROUP, job.entry_id)
    before = queue.exact()

    assert finish(queue, job, verb) == ["lost"]

    assert queue.exact() == before


@every_verb
def test_an_entry_that_nobody_has_read_is_not_recorded(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    queue.client.xgroup_destroy(queue.keys.stream("normal"), GROUP)
    before = queue.exact()

    assert finish(queue, job, verb) == ["lost"]

    assert queue.exact() == before


@pytest.mark.parametrize("ended", ["complete", "bury", "cancel", "expire"])
@every_verb
def test_a_job_that_has_ended_with_this_entry_is_not_recorded_again(
    queue: Bench, verb: str, ended: str
) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, ended, detail="9"))
    before = queue.exact()

    assert finish(queue, job, verb) == ["already"]

    assert queue.exact() == before


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "complete"])
def test_an_entry_that_was_deleted_is_lost(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    queue.client.xdel(queue.keys.stream("normal"), job.entry_id)
    before = queue.exact()

    assert finish(queue, job, verb) == ["lost"]

    assert queue.exact() == before


def test_a_job_that_ran_is_completed_although_its_entry_was_deleted(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.client.xdel(queue.keys.stream("normal"), job.entry_id)

    assert queue.finish(ending(job, "complete"), now=NOW) == ["recorded"]

    state = queue.state()
    assert state.records["j1"]["state"] == "succeeded"
    assert state.lanes == {}


def _as_dict(job: Delivery) -> dict[str, object]:
    return {name: getattr(job, name) for name in job.__struct_fields__}


@every_verb
def test_an_entry_id_that_repeats_after_a_failover_ends_nobody_elses_job(
    queue: Bench, verb: str
) -> None:
    """A replica that lacked the last entries is promoted: it gives their ids out again.

    The id of the next entry follows from the last, which is far in the future here.
    """
    queue.register("w1")
    stream = queue.keys.stream("normal")
    queue.client.execute_command("XSETID", stream, "9999999999999-1")
    replica: Any = queue.client.dump(stream)
    before_failover = queue.taken(new_job("j1", unique="user:7"))
    queue.client.restore(stream, 0, replica, replace=True)
    for key in (queue.keys.job("j1"), queue.keys.unique("user:7")):
        queue.client.delete(key)
    # j2 gets the id that j1 had; the producer of j1, whose answer was lost, sends it again.
    j2 = queue.taken(new_job("j2"))
    queue.enqueue(new_job("j1", unique="user:7"))
    assert j2.entry_id == before_failover.entry_id
    before = queue.exact()

    assert finish(queue, before_failover, verb) == ["lost"]

    assert queue.exact() == before
    assert queue.finish(ending(j2, "complete")) == ["recorded"]


@every_verb
@pytest.mark.parametrize("state", ["cancelled", "succeeded", "dead", "expired"])
def test_an_ending_stands_although_its_entry_is_pending_again_and_that_is_removed(
    queue: Bench, verb: str, state: str
) -> None:
    """The state alone holds, as after a partial restore; the entry would run again every lease."""
    job = queue.taken(new_job("j1"))
    queue.note("j1", Field.STATE, state)
    before = queue.state()

    assert queue.finish(ending(job, verb, detail="9")) == ["already"]

    after = queue.state()
    assert (after.records["j1"]["state"], after.lanes) == (state, {})
    assert after.meta == before.meta


def test_an_entry_of_the_same_id_that_is_another_jobs_is_left_alone(queue: Bench) -> None:
    """As after a failover to a replica that lacked the first one."""
    job = queue.taken(new_job("j1"))
    assert queue.finish(ending(job, "complete")) == ["recorded"]
    stream = queue.keys.stream("normal")
    queue.client.delete(stream)
    queue.client.execute_command("XADD", stream, job.entry_id, "i", "other", "m", "call")
    queue.client.execute_command("XGROUP", "CREATE", stream, GROUP, "0")
    queue.fetch("w1")
    before = queue.exact()

    assert queue.finish(ending(job, "complete")) == ["already"]

    assert queue.exact() == before


def test_a_cancel_that_was_asked_for_is_forgotten_with_a_job_that_lost_its_record(
    queue: Bench,
) -> None:
    """Else a later job of the same id would be cancelled."""
    job = queue.taken(new_job("j1"))
    assert queue.cancel("j1") == "requested"
    queue.client.delete(queue.keys.job("j1"))

    assert queue.finish(ending(job, "complete")) == ["bury"]

    assert queue.state().cancels == {}
