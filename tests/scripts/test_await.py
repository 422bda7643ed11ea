"""await: a client reads how a job ended, or is told when it does."""

from __future__ import annotations

import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import jobs
from rqueue.store.calls.jobs import Ending
from rqueue.store.keys import Field
from tests.support.bench import CRASH, Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState


def wait(queue: Bench, channel: str = "", job_id: str = "j1") -> Ending:
    return queue.send(jobs.awaiting(queue.keys, job_id, channel))


@pytest.mark.parametrize("due", ["", "+5000"])
def test_who_waits_for_a_job_is_listed(queue: Bench, due: str) -> None:
    queue.enqueue(new_job("j1", due=due))
    state = "scheduled" if due else "queued"

    assert wait(queue, "c1") == Ending(state)
    assert wait(queue, "c2") == Ending(state)

    assert queue.state().waiters == {"j1": "c1 c2"}


def test_who_waits_twice_is_listed_once(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    wait(queue, "client:10")
    wait(queue, "client:1")
    before = queue.exact()

    wait(queue, "client:1")
    wait(queue, "client:10")

    assert queue.exact() == before
    assert before.waiters == {"j1": "client:10 client:1"}


def test_who_only_looks_is_not_listed(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    before = queue.exact()

    assert wait(queue) == Ending("queued")

    assert queue.exact() == before


def test_nobody_waits_for_a_job_that_nobody_knows(queue: Bench) -> None:
    assert wait(queue, "c1") == Ending("missing")

    assert queue.exact() == QueueState()


def test_nobody_waits_for_a_job_that_has_ended(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "complete", fields=(Field.RESULT, b"42")))
    before = queue.exact()

    assert wait(queue, "c1") == Ending("succeeded", b"42")

    assert queue.exact() == before


def test_a_result_is_gone_after_its_time_although_its_record_is_not(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    words = (Field.RESULT, b"42", Field.RESULT_UNTIL, 5000)

    queue.finish(ending(job, "complete", fields=words))

    assert wait(queue) == Ending("succeeded", None)


@pytest.mark.parametrize(("later", "result"), [(5000, b"42"), (5001, None)])
def test_the_time_of_a_result_can_be_measured_by_a_set_clock(
    queue: Bench, later: int, result: bytes | None
) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "complete", fields=(Field.RESULT, b"42", Field.RESULT_UNTIL, 5000)))

    asked = jobs.awaiting(queue.keys, "j1", now=str(NOW + later))

    assert queue.send(asked) == Ending("succeeded", result)


def test_a_result_without_a_time_of_its_own_stays_as_long_as_its_record(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))

    queue.finish(ending(job, "complete", fields=(Field.RESULT, b"")))

    assert wait(queue) == Ending("succeeded", b"")


def test_a_failed_job_tells_its_reason_and_the_error_of_its_last_attempt(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    words = (Field.ERROR + "1", b"first", Field.ERROR + "2", b"second", Field.ATTEMPTS, 2)

    queue.finish(ending(job, "bury", detail="failed", fields=words))

    assert wait(queue) == Ending("dead", None, "failed", b"second")


def test_an_attempt_that_was_not_charged_tells_its_error_too(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    words = (Field.ERROR + "1", b"first", Field.ERROR + "2", b"no fit", Field.ATTEMPTS, 1)

    queue.finish(ending(job, "bury", detail="arguments", fields=words))

    assert wait(queue) == Ending("dead", None, "arguments", b"no fit")


def test_a_job_that_crashed_to_death_tells_of_the_crash(queue: Bench) -> None:
    job = queue.taken(new_job("j1", max_crashes=1))
    queue.finish(ending(job, "retry", ms=0, fields=(Field.ERROR + "1", b"x", Field.ATTEMPTS, 1)))
    queue.promote("j1")
    queue.fetch()
    queue.fence("w1")
    queue.reap()

    assert wait(queue) == Ending("dead", None, "crashed", CRASH)


def test_a_cancelled_job_tells_its_reason(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    queue.cancel("j1", "no more")

    assert wait(queue) == Ending("cancelled", None, "no more")


@pytest.mark.parametrize("key", ["waiters", "record"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    queue.enqueue(new_job("j1"))
    queue.client.set(
        queue.keys.waiters if key == "waiters" else queue.keys.job("j1"), "of a wrong type"
    )
    before = queue.exact()

    with pytest.raises(CorruptKey):
        wait(queue, "c1")

    assert queue.exact() == before


ENDINGS = ["complete", "bury", "cancel", "expire"]


@pytest.mark.parametrize("verb", ENDINGS)
def test_every_listed_client_is_told_of_the_end_and_nobody_else(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"), new_job("j2"))
    for channel in ("c1", "c2"):
        wait(queue, f"{queue.keys.namespace}:{channel}")
    wait(queue, f"{queue.keys.namespace}:c3", "j2")
    channels = [f"{queue.keys.namespace}:{name}" for name in ("c1", "c2", "c3")]

    with queue.listening(*channels) as heard:
        queue.finish(ending(job, verb))
        queue.finish(ending(job, verb))

    assert heard == [(channels[0], "j1"), (channels[1], "j1")]
    assert queue.state().waiters == {"j2": channels[2]}


@pytest.mark.parametrize("verb", ["retry", "snooze", "park", "release"])
def test_nobody_is_told_of_an_attempt_that_was_not_the_last(queue: Bench, verb: str) -> None:
    job = queue.taken(new_job("j1"))
    channel = f"{queue.keys.namespace}:c1"
    wait(queue, channel)

    with queue.listening(channel) as heard:
        queue.finish(ending(job, verb, detail="9"))

    assert heard == []
    assert queue.state().waiters == {"j1": channel}


@pytest.mark.parametrize("end", ["cancel", "crash"])
def test_clients_are_told_of_ends_that_no_worker_recorded(queue: Bench, end: str) -> None:
    queue.enqueue(new_job("j1", max_crashes=1))
    channel = f"{queue.keys.namespace}:c1"
    wait(queue, channel)

    with queue.listening(channel) as heard:
        if end == "cancel":
            queue.cancel("j1")
        else:
            queue.taken()
            queue.fence("w1")
            queue.reap(now=NOW)

    assert heard == [(channel, "j1")]
    assert queue.state().waiters == {}
