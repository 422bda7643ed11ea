"""enqueue: a full queue takes no more from producers, exactly; what moves is let through."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rqueue.store.calls import jobs, queues
from rqueue.store.calls.jobs import Enqueued
from rqueue.store.keys import LANES
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW, QueueState, entry, queued, record


def cap(queue: Bench, **caps: int) -> None:
    for name in queues.CAPS:
        queue.send(queues.limit(queue.keys, name, caps.get(name.removeprefix("cap_"))))


def waiting(queue: Bench) -> int:
    return sum(queue.client.xlen(queue.keys.stream(lane)) for lane in LANES)


def test_a_batch_is_let_in_until_the_cap_is_reached(queue: Bench) -> None:
    cap(queue, waiting=3)
    queue.enqueue(new_job("j1"))

    new = [new_job("j2"), new_job("j3", priority="low"), new_job("j4"), new_job("j5")]
    answers = queue.send(jobs.enqueue(queue.keys, new, str(NOW)))

    full = Enqueued("capped", place="waiting", cap=3)
    assert answers == [Enqueued("accepted"), Enqueued("accepted"), full, full]
    assert queue.state() == QueueState(
        records={"j1": queued(), "j2": queued(), "j3": queued("low")},
        lanes={"normal": [entry("j1"), entry("j2")], "low": [entry("j3")]},
        meta={"enqueue": "3", "cap_waiting": "3"},
    )


def test_a_batch_fills_the_schedule_until_its_cap_is_reached(queue: Bench) -> None:
    cap(queue, scheduled=2)

    new = [new_job(f"j{n}", due="+5000") for n in range(3)]
    answers = queue.send(jobs.enqueue(queue.keys, new, str(NOW)))

    full = Enqueued("capped", place="scheduled", cap=2)
    assert answers == [Enqueued("accepted"), Enqueued("accepted"), full]
    waits = record("scheduled", envelope="call", priority="normal")
    assert queue.state() == QueueState(
        records={"j0": waits, "j1": waits},
        schedule={"j0": NOW + 5000, "j1": NOW + 5000},
        meta={"enqueue": "2", "cap_scheduled": "2"},
    )


@pytest.mark.parametrize("due", ["", "+5000"])
def test_a_job_that_is_refused_changes_nothing(queue: Bench, due: str) -> None:
    cap(queue, waiting=1, scheduled=1)
    queue.enqueue(new_job("j1", due=due))
    before = queue.exact()

    with queue.listening(queue.keys.wake) as heard:
        new = new_job("j2", due=due and "+1", unique="user:7")
        assert queue.enqueue(new, new) == ["capped", "capped"]

    assert queue.exact() == before
    assert heard == []


def test_each_cap_is_for_its_own_place(queue: Bench) -> None:
    cap(queue, waiting=2, scheduled=1)

    late, early = {"due": "+5000"}, {"due": str(NOW - 1)}
    told = [late, late, early, {}, {}]
    answers = queue.enqueue(*(new_job(f"j{n}", **due) for n, due in enumerate(told)))

    assert answers == ["accepted", "capped", "accepted", "accepted", "capped"]


@pytest.mark.parametrize("lane", LANES)
def test_every_lane_counts(queue: Bench, lane: str) -> None:
    cap(queue, waiting=2)
    queue.foreign(lane, i="f1", m="call")

    assert queue.enqueue(new_job("j1"), new_job("j2")) == ["accepted", "capped"]


def test_running_jobs_count_until_they_end(queue: Bench) -> None:
    cap(queue, waiting=2)
    job = queue.taken(new_job("j1"), new_job("j2"))
    assert queue.enqueue(new_job("j3")) == ["capped"]

    queue.finish(ending(job, "complete"))

    assert queue.enqueue(new_job("j3"), new_job("j4")) == ["accepted", "capped"]


def test_retries_count_in_the_schedule(queue: Bench) -> None:
    cap(queue, scheduled=1)
    queue.finish(ending(queue.taken(new_job("j1")), "retry"))

    assert queue.enqueue(new_job("j2", due="+5000"), new_job("j3")) == ["capped", "accepted"]


@pytest.mark.parametrize("due", ["", "+5000"])
def test_what_is_no_new_job_is_answered_as_ever(queue: Bench, due: str) -> None:
    cap(queue, waiting=1, scheduled=1)
    queue.enqueue(new_job("j1", due=due, unique="user:7"))
    before = queue.exact()

    answers = queue.enqueue(
        new_job("j1", due=due, unique="user:7"),
        new_job("j1", due=due, digest=b"other"),
        new_job("j2", due=due, unique="user:7"),
    )

    assert answers == ["duplicate", "conflict", "locked"]
    assert queue.exact() == before


def test_a_cap_below_what_is_there_loses_nothing(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{n}") for n in range(3)))
    cap(queue, waiting=1)

    assert queue.enqueue(new_job("j3")) == ["capped"]

    assert queue.state().lanes == {"normal": [entry("j0"), entry("j1"), entry("j2")]}


def test_a_cap_that_is_taken_away_lets_all_in(queue: Bench) -> None:
    cap(queue, waiting=1, scheduled=1)
    queue.enqueue(new_job("j1"), new_job("j2", due="+5000"))

    cap(queue)

    assert queue.enqueue(new_job("j3"), new_job("j4", due="+5000")) == ["accepted", "accepted"]
    assert queue.state().meta == {"enqueue": "4"}


def test_what_moves_is_never_refused(queue: Bench) -> None:
    queue.register("w1")
    new = [new_job("due", due="+5"), *(new_job(one) for one in ("r1", "r2", "d1", "w1"))]
    queue.enqueue(*new)
    retried, released, buried, _ = queue.fetch()
    cap(queue, waiting=1, scheduled=1)

    answers = queue.finish(
        ending(retried, "retry"), ending(released, "release"), ending(buried, "bury", detail="x")
    )
    assert answers == ["recorded"] * 3
    assert queue.promote("due", now=NOW + 5) == ["promoted"]
    assert queue.run(queues.requeue(queue.keys, ["d1"])) == ["requeued"]
    queue.fence("w1")
    assert queue.reap() == ["suspect"]

    assert waiting(queue) == 4
    assert queue.state().schedule == {"r1": NOW + 60_000}
    assert queue.enqueue(new_job("j1"), new_job("j2", due="+5")) == ["capped", "capped"]


@pytest.mark.parametrize("lane", ["high", "suspect"])
def test_a_lane_of_a_wrong_type_holds_no_job_and_closes_no_other(queue: Bench, lane: str) -> None:
    cap(queue, waiting=1)
    queue.client.set(queue.keys.stream(lane), "of a wrong type")

    answers = queue.enqueue(new_job("j1", priority="high"), new_job("j2"), new_job("j3"))

    first = ["corrupt", "accepted"] if lane == "high" else ["accepted", "capped"]
    assert answers == [*first, "capped"]


def test_a_schedule_of_a_wrong_type_is_corrupt_and_not_full(queue: Bench) -> None:
    cap(queue, scheduled=1)
    queue.client.set(queue.keys.schedule, "of a wrong type")
    before = queue.exact()

    assert queue.enqueue(new_job("j1", due="+5")) == ["corrupt"]

    assert queue.exact() == before


@pytest.mark.parametrize("strange", ["", "many", "-1", "-inf", "inf", "nan"])
def test_what_is_no_number_of_jobs_is_no_cap(queue: Bench, strange: str) -> None:
    for name in queues.CAPS:
        queue.client.hset(queue.keys.meta, name, strange)

    assert queue.enqueue(new_job("j1"), new_job("j2", due="+5")) == ["accepted", "accepted"]

    info = queue.run(queues.look(queue.keys))
    assert (info.cap_waiting, info.cap_scheduled, info.counters) == (None, None, {"enqueue": 2})


def test_a_queue_without_a_cap_is_not_counted(queue: Bench) -> None:
    def calls(name: str) -> int:
        told: Any = queue.client.info("commandstats")
        return told.get(f"cmdstat_{name}", {"calls": 0})["calls"]

    def enqueued(*ids: str) -> tuple[int, int]:
        before = calls("xlen"), calls("zcard")
        queue.enqueue(*(new_job(one, due="+5" if one[0] == "d" else "") for one in ids))
        return calls("xlen") - before[0], calls("zcard") - before[1]

    assert enqueued("j1", "j2", "d1") == (0, 0)
    cap(queue, waiting=9)
    assert enqueued("j3", "j4", "d2") == (7, 0)
    cap(queue, scheduled=9)
    assert enqueued("j5", "j6", "d3", "d4") == (0, 1)


@pytest.mark.parametrize("due", ["", "+5000"])
def test_an_envelope_above_its_cap_changes_nothing_and_one_at_it_is_let_in(
    queue: Bench, due: str
) -> None:
    cap(queue, payload=len(b"call"))
    before = queue.exact()

    large = msgspec.structs.replace(new_job("j1", due=due, unique="user:7"), envelope=b"calls")
    answers = queue.send(jobs.enqueue(queue.keys, [large], str(NOW)))

    assert answers == [Enqueued("capped", place="payload", cap=4)]
    assert queue.exact() == before
    assert queue.enqueue(new_job("j1", due=due, unique="user:7")) == ["accepted"]


def test_the_same_job_again_is_a_duplicate_though_its_cap_has_shrunk(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    cap(queue, payload=1)

    assert queue.enqueue(new_job("j1"), new_job("j2")) == ["duplicate", "capped"]
