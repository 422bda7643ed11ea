"""resume: workers take jobs from the queue again."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from rqueue.store.calls import queues
from tests.support.bench import Bench, new_job
from tests.support.queue_state import NOW, QueueState


def pause(queue: Bench) -> str:
    return queue.send(queues.pause(queue.keys, str(NOW)))


def resume(queue: Bench) -> str:
    return queue.send(queues.resume(queue.keys))


def test_a_queue_is_resumed_once_and_its_workers_are_told(queue: Bench) -> None:
    pause(queue)

    with queue.listening(queue.keys.control) as heard:
        assert resume(queue) == "resumed"
        assert resume(queue) == "already"

    assert heard == [(queue.keys.control, "resume")]
    assert queue.exact() == QueueState()


def test_a_resumed_queue_gives_its_jobs_again(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("j1"))
    pause(queue)
    resume(queue)

    assert [job.job_id for job in queue.fetch()] == ["j1"]


def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench) -> None:
    queue.client.set(queue.keys.meta, "not a hash")
    before = queue.exact()

    with pytest.raises(StoreError):
        resume(queue)

    assert queue.exact() == before
