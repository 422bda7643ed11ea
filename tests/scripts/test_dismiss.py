"""dismiss: a card that was read goes, one that was written since stays."""

from __future__ import annotations

import msgspec
import pytest

from rqueue.store.calls import queues
from tests.support.queue_state import Bench


def card(*names: str) -> bytes:
    return msgspec.msgpack.encode({"queues": names, "pid": 1})


def test_a_worker_without_a_lease_is_taken_out(queue: Bench) -> None:
    namespace = queue.keys.namespace
    queue.send(queues.introduce(namespace, "w1", card(queue.keys.queue)))

    assert queue.run(queues.dismiss_fenced(queue.keys)) == ["w1"]

    assert queue.send(queues.workers(namespace)) == {}


def test_a_worker_that_introduces_itself_anew_meanwhile_stays(queue: Bench) -> None:
    """Fenced on one queue it is still at work on another, and says so on a new card."""
    namespace, here = queue.keys.namespace, queue.keys.queue
    queue.send(queues.introduce(namespace, "w1", card(here, "other")))
    flow = queues.dismiss_fenced(queue.keys)
    known = queue.step(next(flow))
    standing = queue.step(flow.send(known))
    step = flow.send(standing)
    queue.send(queues.introduce(namespace, "w1", card("other")))

    with pytest.raises(StopIteration) as end:
        flow.send(queue.step(step))

    assert end.value.value == []
    assert queue.send(queues.workers(namespace)) == {"w1": card("other")}
