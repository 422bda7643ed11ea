"""Out of memory: new jobs are refused with nothing written; what is there still drains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from rqueue.errors import StoreFull, StoreUnavailable
from rqueue.store.calls import entries, history, jobs, leases, queues
from rqueue.store.calls.jobs import Ending
from tests.support.bench import VERBS, Bench, ending, new_job
from tests.support.queue_state import NOW
from tests.support.servers import FLAVOURS, Server


@pytest.fixture(scope="module", params=FLAVOURS)
def cramped(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as server:
        yield server


@pytest.fixture
def queue(cramped: Server, namespace: str) -> Iterator[Bench]:
    with closing(Bench(cramped.url, namespace)) as bench:
        yield bench


@contextmanager
def out_of_memory(queue: Bench) -> Iterator[None]:
    queue.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        queue.client.config_set("maxmemory", 0)


@pytest.mark.parametrize("due", ["", "+5000"])
def test_new_jobs_are_refused_and_nothing_is_written(queue: Bench, due: str) -> None:
    queue.enqueue(new_job("j0"))
    before = queue.exact()

    with out_of_memory(queue):
        answers = queue.enqueue(new_job("j1", due=due, unique="user:7"), new_job("j2", due=due))

    assert answers == ["full", "full"]
    assert queue.exact() == before


def test_what_redis_refuses_for_another_reason_is_not_said_to_be_memory(queue: Bench) -> None:
    queue.enqueue(new_job("j0"))
    before = queue.exact()
    queue.client.config_set("min-replicas-to-write", 1)

    try:
        with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
            queue.transport.send_many([jobs.enqueue(queue.keys, [new_job("j1")])], retry_s=0)
    finally:
        queue.client.config_set("min-replicas-to-write", 0)

    assert queue.exact() == before


def test_a_cap_is_told_before_memory_is_asked_for(queue: Bench) -> None:
    queue.enqueue(new_job("j0"))
    queue.send(queues.limit(queue.keys, "cap_waiting", 1))
    queue.send(queues.limit(queue.keys, "cap_scheduled", 1))
    before = queue.exact()

    with out_of_memory(queue):
        answers = queue.enqueue(new_job("j1"), *(new_job(one, due="+5") for one in ("j2", "j3")))

    # What was refused for want of memory takes no room.
    assert answers == ["capped", "full", "full"]
    assert queue.exact() == before


def test_what_need_not_be_written_is_answered_as_ever(queue: Bench) -> None:
    queue.enqueue(new_job("j1", unique="user:7"))

    with out_of_memory(queue):
        answers = queue.enqueue(
            new_job("j1"), new_job("j1", digest=b"other"), new_job("j2", unique="user:7")
        )

    assert answers == ["duplicate", "conflict", "locked"]


@pytest.mark.parametrize("old", [False, True])
def test_new_jobs_are_refused_also_if_they_are_to_be_waited_for(queue: Bench, old: bool) -> None:
    """Beside a duplicate as without one: what it makes the script write comes last."""
    if old:
        queue.enqueue(new_job("j0"))
    before = queue.exact()

    with out_of_memory(queue):
        new = [new_job("j0"), new_job("j1"), new_job("j2", due="+5000")]
        answers = queue.send(jobs.enqueue(queue.keys, new, str(NOW), waits=True))

    assert [one.status for one in answers] == ["duplicate" if old else "full", "full", "full"]
    assert queue.exact() == before


@pytest.mark.parametrize("verb", VERBS)
def test_every_ending_is_recorded(queue: Bench, verb: str) -> None:
    words = ("r", b"result" * 1000, "a", 1)
    job = queue.taken(new_job("j1", unique="user:7"))
    settled = ending(job, verb, detail="9", unique="user:7", fields=words)

    with out_of_memory(queue):
        assert queue.finish(settled) == ["recorded"]

    assert queue.client.hget(queue.keys.job("j1"), "r") == b"result" * 1000


def test_a_worker_joins_stays_and_fetches(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))

    with out_of_memory(queue):
        queue.register("w1")
        assert queue.send(leases.renew(queue.keys, "w1", 2)).is_live
        (job,) = queue.fetch("w1")
        assert queue.send(entries.mark(queue.keys, "w1", job)) == "marked"
        assert queue.finish(ending(job, "complete")) == ["recorded"]


@pytest.mark.parametrize(("cap", "place"), [(3, "suspect"), (2, "last"), (1, "dead")])
def test_what_a_dead_worker_held_is_moved(queue: Bench, cap: int, place: str) -> None:
    queue.taken(new_job("j1", max_crashes=cap))

    with out_of_memory(queue):
        queue.fence("w1")
        assert queue.reap() == [place]
        assert {queue.send(call) for call in leases.retire(queue.keys, "w1")} == {"retired"}


def test_what_is_due_is_promoted(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5000"))

    with out_of_memory(queue):
        assert queue.promote("j1", now=NOW + 5000) == ["promoted"]

    assert list(queue.state().lanes) == ["normal"]


def test_what_waits_gets_another_time(queue: Bench) -> None:
    queue.enqueue(new_job("j1"), new_job("j2", due="+5000"), new_job("j3", due="+5000"))

    with out_of_memory(queue):
        said = [queue.reschedule(*asked) for asked in (("j1", "+9"), ("j2", "+9"), ("j3", "+0"))]

    assert said == ["rescheduled", "rescheduled", "queued"]
    assert queue.state().schedule == {"j1": NOW + 9, "j2": NOW + 9}


def test_what_waits_is_cancelled_and_dead_letters_are_dealt_with(queue: Bench) -> None:
    queue.taken(new_job("d1"), new_job("d2"))
    queue.finish(*(ending(job, "bury", detail="failed") for job in queue.held("w1")))
    queue.enqueue(new_job("j1"), new_job("j2", due="+5000"))

    with out_of_memory(queue):
        assert [queue.cancel(one) for one in ("j1", "j2")] == ["cancelled", "cancelled"]
        assert queue.run(queues.requeue(queue.keys, ["d1"])) == ["requeued"]
        assert queue.send(queues.discard(queue.keys, ["d2"])) == ["discarded"]


def record(queue: Bench) -> object:
    return queue.send(jobs.record(queue.keys, new_job("r1"), "succeeded", 1000, (), str(NOW)))


def book(queue: Bench) -> object:
    booking = history.Booking("w1", 1, [("t", "s=1")], [b"f"])
    return queue.run(history.book(queue.keys, booking, NOW, str(NOW)))


def pause(queue: Bench) -> object:
    return queue.send(queues.pause(queue.keys, str(NOW)))


def wait(queue: Bench) -> object:
    return queue.send(jobs.awaiting(queue.keys, "j1", "a channel"))


def cancel(queue: Bench) -> object:
    return queue.cancel("j1")


@pytest.mark.parametrize("act", [record, book])
def test_what_needs_memory_is_refused_and_nothing_is_written(
    queue: Bench, act: Callable[[Bench], object]
) -> None:
    queue.taken(new_job("j1"))
    before = queue.exact()

    with out_of_memory(queue), pytest.raises(StoreFull):
        act(queue)

    after = queue.exact()
    assert (after, after.history) == (before, {})


def test_a_client_that_waits_learns_the_state_but_is_not_told_of_the_end(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    before = queue.exact()

    with out_of_memory(queue):
        assert wait(queue) == Ending("queued")

    assert queue.exact() == before


def test_a_running_job_is_cancelled_and_a_queue_is_paused(queue: Bench) -> None:
    queue.taken(new_job("j1"))

    with out_of_memory(queue):
        assert (cancel(queue), pause(queue)) == ("requested", "paused")

    state = queue.state()
    assert state.cancels == {"j1": "w1"}
    assert "paused" in state.meta


def test_a_paused_queue_is_resumed(queue: Bench) -> None:
    pause(queue)

    with out_of_memory(queue):
        assert queue.send(queues.resume(queue.keys)) == "resumed"
