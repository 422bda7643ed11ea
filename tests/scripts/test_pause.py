"""pause: workers take nothing more from the queue; what runs goes on."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from rqueue.store.calls import queues
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState


def pause(queue: Bench) -> str:
    return queue.send(queues.pause(queue.keys, str(NOW)))


def test_a_queue_is_paused_once_and_its_workers_are_told(queue: Bench) -> None:
    with queue.listening(queue.keys.control) as heard:
        assert pause(queue) == "paused"
        assert pause(queue) == "already"

    assert heard == [(queue.keys.control, "pause")]
    assert queue.exact() == QueueState(meta={"paused": str(NOW)})


def test_a_paused_queue_accepts_jobs_and_settles_what_runs(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    pause(queue)

    assert queue.enqueue(new_job("j2"), new_job("j3", due="+1")) == ["accepted", "accepted"]
    assert queue.promote("j3", now=NOW + 1) == ["promoted"]
    assert queue.finish(ending(job, "complete")) == ["recorded"]


def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench) -> None:
    queue.client.set(queue.keys.meta, "not a hash")
    before = queue.exact()

    with pytest.raises(StoreError):
        pause(queue)

    assert queue.exact() == before
