"""A job's short life on fakeredis: what it must do alike, for tests without a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import fakeredis
import pytest

from rqueue.store.call import Call, Flow
from rqueue.store.calls import jobs, queues, schedule
from rqueue.store.calls.jobs import Ending
from rqueue.store.connection import answer
from rqueue.store.keys import Field, QueueKeys
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued, record


class FakeTransport:
    """A transport that speaks to fakeredis; its replies stay as raw as a server's."""

    def __init__(self, server: fakeredis.FakeServer) -> None:
        self._client = fakeredis.FakeRedis(server=server, protocol=2)
        self._client.response_callbacks.clear()

    def send(self, call: Call[Any]) -> Any:
        reply = self._client.execute_command(*call.words_with_source())
        return answer(call, reply, repeated=False)

    def send_many(self, calls: Sequence[Call[Any]]) -> list[Any]:
        return [self.send(call) for call in calls]

    def run(self, flow: Flow[Any]) -> Any:
        got = None
        while True:
            try:
                step = flow.send(got)
            except StopIteration as end:
                return end.value
            got = self.send(step) if isinstance(step, Call) else self.send_many(step)

    def close(self) -> None:
        self._client.close()


class FakeBench(Bench):
    def __init__(self) -> None:
        server = fakeredis.FakeServer()
        self.keys = QueueKeys("fake", "q")
        self.client = fakeredis.FakeRedis(server=server, protocol=2)
        self.transport = FakeTransport(server)  # type: ignore[assignment]


@pytest.fixture
def queue() -> Iterator[Bench]:
    with closing(FakeBench()) as bench:
        yield bench


def test_a_job_is_enqueued_fetched_finished_and_its_result_read(queue: Bench) -> None:
    job = queue.taken(new_job("j1", unique="user:7"))
    words = (Field.RESULT, b"42")

    answers = queue.finish(ending(job, "complete", fields=words, unique="user:7"))

    assert answers == ["recorded"]
    assert queue.state() == QueueState(
        records={"j1": record("succeeded", entry="gone", finished=NOW, result=42, ttl=60)},
        leases={"w1": 1},
        meta={"enqueue": "1", "complete": "1"},
    )
    assert queue.send(jobs.awaiting(queue.keys, "j1")) == Ending("succeeded", b"42")


def test_the_same_job_again_is_a_duplicate_and_a_held_key_is_locked(queue: Bench) -> None:
    assert queue.enqueue(new_job("j1", unique="a")) == ["accepted"]

    answers = queue.enqueue(
        new_job("j1", unique="a"), new_job("j1", digest=b"x"), new_job("j2", unique="a")
    )

    assert answers == ["duplicate", "conflict", "locked"]


def test_a_failed_job_is_retried_and_then_buried_and_requeued(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "retry", ms=5000, fields=(Field.ATTEMPTS, 1)))
    assert queue.state().schedule == {"j1": NOW + 5000}

    queue.run(schedule.promote_due(queue.keys, now=str(NOW + 5000)))
    (job,) = queue.fetch()
    assert (job.attempts, job.token) == (1, 2)
    queue.finish(ending(job, "bury", detail="failed"))
    assert queue.state().dead == {"j1": NOW}

    assert queue.run(queues.requeue(queue.keys, ["j1"])) == ["requeued"]
    assert queue.state().lanes == {"normal": [entry("j1", token=3)]}


def test_a_fenced_worker_can_record_nothing_and_its_job_is_reaped(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.fence("w1")

    assert queue.finish(ending(job, "complete")) == "fenced"
    assert queue.reap() == ["suspect"]

    assert queue.state().records == {"j1": queued("suspect", crashes=1, error_c1="worker died")}


def test_a_job_that_waits_is_cancelled(queue: Bench) -> None:
    queue.enqueue(new_job("j1"), new_job("j2", due="+5000"))

    assert [queue.cancel(one) for one in ("j1", "j2")] == ["cancelled", "cancelled"]

    assert queue.state().lanes == {}


def test_a_job_that_waits_gets_another_time(queue: Bench) -> None:
    queue.enqueue(new_job("j1"), new_job("j2", due="+5000"))

    assert [queue.reschedule("j1", "+9"), queue.reschedule("j2", "+0")] == ["rescheduled", "queued"]

    state = queue.state()
    assert (state.lanes, state.schedule) == ({"normal": [entry("j2")]}, {"j1": NOW + 9})
