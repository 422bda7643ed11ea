"""The registry of workers: who is dead is taken out of it, however little it left behind."""

from __future__ import annotations

import msgspec
import pytest

from rqueue import inspection
from rqueue.store.calls import workers
from tests.support.bench import Bench


def card(*names: str) -> bytes:
    return msgspec.msgpack.encode({"queues": names, "pid": 1})


def test_a_worker_without_a_lease_and_without_a_consumer_is_dismissed(queue: Bench) -> None:
    """Redis 7.0 knows no consumer of a worker that was never given an entry."""
    here, namespace = queue.keys.queue, queue.keys.namespace
    queue.register("alive", "dead")
    for name, found in {
        "alive": card(here),
        "dead": card(here, "elsewhere"),
        "stranger": card("elsewhere"),
        "nonsense": b"\xc1",
        "odd": msgspec.msgpack.encode({"queues": 7}),
    }.items():
        queue.send(workers.introduce(namespace, name, found))
    queue.fence("dead")

    assert queue.run(workers.dismiss_fenced(queue.keys)) == ["dead"]

    assert sorted(queue.send(workers.workers(namespace))) == [
        "alive",
        "nonsense",
        "odd",
        "stranger",
    ]


def test_what_a_stranger_wrote_there_hides_no_worker(queue: Bench) -> None:
    namespace = queue.keys.namespace
    for name, found in {"mine": card("mail"), "nonsense": b"\xc1", "odd": b"\x07"}.items():
        queue.send(workers.introduce(namespace, name, found))

    told = queue.run(inspection.workers(namespace))

    assert told == {"mine": {"queues": ["mail"], "pid": 1}, "nonsense": {}, "odd": {}}


def test_a_worker_that_joins_meanwhile_stays(queue: Bench) -> None:
    """It has its lease before it introduces itself; so the registry is read before the leases."""
    flow = workers.dismiss_fenced(queue.keys)
    known = queue.step(next(flow))
    queue.register("new")
    queue.send(workers.introduce(queue.keys.namespace, "new", card(queue.keys.queue)))

    with pytest.raises(StopIteration) as end:
        flow.send(queue.step(flow.send(known)))

    assert end.value.value == []
    assert "new" in queue.send(workers.workers(queue.keys.namespace))
