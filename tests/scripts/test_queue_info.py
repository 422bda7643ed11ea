"""What a queue holds, read in one trip."""

from __future__ import annotations

from rqueue.store.calls import queues
from rqueue.store.calls.queues import QueueInfo
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW


def test_the_numbers_of_a_queue_are_read_at_once(queue: Bench) -> None:
    first = queue.taken(*(new_job(f"j{n}") for n in range(5)))
    queue.finish(ending(first, "release"), ending(queue.held("w1")[1], "bury", detail="x"))
    queue.enqueue(new_job("h1", priority="high"), new_job("h2", priority="high", due="+5"))
    queue.send(queues.pause(queue.keys, str(NOW)))
    queue.send(queues.limit(queue.keys, "cap_waiting", 10))

    assert queue.run(queues.look(queue.keys)) == QueueInfo(
        name="q",
        ready={"released": 1, "high": 1},
        running=3,
        scheduled=1,
        dead=1,
        workers=1,
        is_paused=True,
        counters={"enqueue": 7, "release": 1, "bury": 1},
        cap_waiting=10,
        cap_scheduled=None,
    )


def test_the_numbers_of_a_queue_that_was_never_written_are_zero(queue: Bench) -> None:
    assert queue.run(queues.look(queue.keys)) == QueueInfo(
        name="q",
        ready={},
        running=0,
        scheduled=0,
        dead=0,
        workers=0,
        is_paused=False,
        counters={},
    )
