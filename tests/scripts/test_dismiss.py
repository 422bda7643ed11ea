"""dismiss: a card that was read goes, one that was written since stays."""

from __future__ import annotations

import msgspec
import pytest

from rqueue.store.calls import workers
from tests.support.bench import Bench


def card(*names: str) -> bytes:
    return msgspec.msgpack.encode({"queues": names, "pid": 1})


def test_a_worker_without_a_lease_is_taken_out(queue: Bench) -> None:
    namespace = queue.keys.namespace
    queue.send(workers.introduce(namespace, "w1", card(queue.keys.queue)))

    assert queue.run(workers.dismiss_fenced(queue.keys)) == ["w1"]

    assert queue.send(workers.workers(namespace)) == {}


def test_a_worker_that_introduces_itself_anew_meanwhile_stays(queue: Bench) -> None:
    """Fenced on one queue it is still at work on another, and says so on a new card."""
    namespace, here = queue.keys.namespace, queue.keys.queue
    queue.send(workers.introduce(namespace, "w1", card(here, "other")))
    flow = workers.dismiss_fenced(queue.keys)
    known = queue.step(next(flow))
    standing = queue.step(flow.send(known))
    step = flow.send(standing)
    queue.send(workers.introduce(namespace, "w1", card("other")))

    with pytest.raises(StopIteration) as end:
        flow.send(queue.step(step))

    assert end.value.value == []
    assert queue.send(workers.workers(namespace)) == {"w1": card("other")}
