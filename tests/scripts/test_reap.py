"""reap: entries that a dead worker holds go where others find them, one crash added."""

from __future__ import annotations

import pytest

from rqueue.store.call import Call
from rqueue.store.calls import jobs, leases
from rqueue.store.keys import Field
from rqueue.store.scripts import REAP
from tests.support.bench import CRASH, Bench, ending, new_job
from tests.support.queue_state import DAY, ENDED, NOW, QueueState, entry, queued, record

DIED = {"error_c1": CRASH.decode()}


def crash(queue: Bench, lane: str, now: int = NOW) -> list[str]:
    """A worker takes all there is and dies with it."""
    worker = f"w{len(queue.state().meta)}-{now}"
    queue.register(worker)
    queue.fetch(worker)
    queue.fence(worker)
    return queue.reap(worker, lane, now)


def test_what_a_dead_worker_held_is_suspect(queue: Bench) -> None:
    queue.taken(new_job("j1", priority="high", unique="user:7", max_crashes=7))
    queue.fence("w1")

    assert queue.reap(lane="high") == ["suspect"]

    travels = {"priority": "high", "crashes": 1, "crashed_at": NOW, "max_crashes": 7}
    assert queue.state() == QueueState(
        records={
            "j1": queued("suspect", unique="user:7", max_crashes=7, crashes=1, **DIED),
        },
        lanes={"suspect": [entry("j1", token=2, **travels)]},
        unique={"user:7": "j1"},
        meta={"enqueue": "1", "reap": "1"},
    )


def test_reaping_twice_charges_one_crash(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    queue.fence("w1")
    queue.reap()
    before = queue.exact()

    assert queue.reap() == []

    assert queue.exact() == before


def test_two_reapers_that_read_the_same_move_it_once(queue: Bench) -> None:
    queue.taken(new_job("j1"))
    queue.fence("w1")
    script = last_step(queue)
    assert queue.send(script) == ["suspect"]
    before = queue.exact()

    assert queue.send(script) == ["lost"]

    assert queue.exact() == before


def test_the_entries_of_a_worker_with_a_lease_are_not_touched(queue: Bench) -> None:
    queue.taken(new_job("j1"), new_job("j2"))
    before = queue.exact()

    assert queue.reap() == ["alive", "alive"]

    assert queue.exact() == before


def test_only_the_dead_workers_entries_of_that_lane_are_moved(queue: Bench) -> None:
    queue.taken(new_job("j1"), new_job("j2", priority="low"))
    queue.taken(new_job("j3"), worker="w2")
    queue.enqueue(new_job("j4"))
    queue.fence("w1")

    assert queue.reap(lane="normal") == ["suspect"]

    state = queue.state()
    assert state.lanes == {
        "suspect": [entry("j1", token=2, priority="normal", crashes=1, crashed_at=NOW)],
        "low": [entry("j2", "w1")],
        "normal": [entry("j3", "w2"), entry("j4")],
    }


def test_at_most_a_hundred_entries_are_moved_at_once(queue: Bench) -> None:
    queue.taken(*(new_job(f"j{n}") for n in range(100)))
    queue.enqueue(new_job("j100"))
    queue.fetch()
    queue.fence("w1")

    batches: list[int] = []
    flow = leases.reap(queue.keys, "w1", "normal", CRASH, str(NOW))
    step, moved = next(flow), None
    while moved is None:
        said = queue.step(step)
        if isinstance(step, Call) and step.script is REAP:
            batches.append(len(said))
        try:
            step = flow.send(said)
        except StopIteration as end:
            moved = end.value

    assert (batches, moved) == ([100, 1], ["suspect"] * 101)
    assert len(queue.state().lanes["suspect"]) == 101


def test_a_job_one_crash_from_the_cap_goes_to_the_last_lane(queue: Bench) -> None:
    queue.enqueue(new_job("j1", priority="low"))

    assert crash(queue, "low") == ["suspect"]
    assert crash(queue, "suspect", NOW + 1) == ["last"]

    state = queue.state()
    assert state.records == {
        "j1": queued("last", crashes=2, **DIED, error_c2=CRASH.decode()),
    }
    assert state.lanes == {
        "last": [entry("j1", token=3, priority="low", crashes=2, crashed_at=NOW + 1)]
    }


@pytest.mark.parametrize(
    ("cap", "places"),
    [
        (1, ["dead"]),
        (2, ["last"]),
        (3, ["suspect", "last"]),
        (4, ["suspect", "suspect", "last"]),
    ],
)
def test_a_task_may_say_how_many_crashes_it_stands(
    queue: Bench, cap: int, places: list[str]
) -> None:
    queue.enqueue(new_job("j1", max_crashes=cap))

    lane = "normal"
    for n, place in enumerate(places):
        assert crash(queue, lane, NOW + n) == [place]
        lane = place


def test_a_job_that_crashed_to_the_cap_is_dead_with_the_cause(queue: Bench) -> None:
    job = queue.taken(new_job("j1", priority="high", unique="user:7", max_crashes=1))
    queue.finish(ending(job, "retry", ms=0, fields=(Field.ATTEMPTS, 1), unique="user:7"))
    queue.promote("j1")
    queue.fetch()
    queue.fence("w1")

    assert queue.reap(lane="high") == ["dead"]

    dead = record(
        "dead",
        entry="gone",
        reason="crashed",
        envelope="call",
        priority="high",
        token=2,
        unique="user:7",
        crashes=1,
        max_crashes=1,
        attempts=1,
        worker="w1",
        finished=NOW,
        **DIED,
    )
    assert queue.state() == QueueState(
        records={"j1": dead},
        dead={"j1": NOW},
        meta={"enqueue": "1", "retry": "1", "promote": "1", "reap": "1", "crash": "1"},
    )


def test_a_crash_is_forgotten_after_a_day(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    crash(queue, "normal", NOW)

    assert crash(queue, "suspect", NOW + DAY + 1) == ["suspect"]

    assert queue.state().lanes == {
        "suspect": [entry("j1", token=3, priority="normal", crashes=1, crashed_at=NOW + DAY + 1)]
    }


def test_a_crash_is_remembered_for_a_day(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    crash(queue, "normal", NOW)

    assert crash(queue, "suspect", NOW + DAY) == ["last"]


def test_a_crash_is_no_attempt(queue: Bench) -> None:
    job = queue.taken(new_job("j1"))
    queue.finish(ending(job, "retry", ms=0, fields=(Field.ATTEMPTS, 2)))
    queue.promote("j1")

    queue.fetch()
    queue.fence("w1")
    queue.reap()

    suspect = queue.taken(worker="w2")
    assert (suspect.attempts, suspect.crashes, suspect.token) == (2, 1, 3)
    assert queue.state().records["j1"]["attempts"] == "2"


def test_a_job_that_was_to_be_cancelled_ends_with_its_worker(queue: Bench) -> None:
    queue.taken(new_job("j1", unique="user:7"))
    queue.cancel("j1", "no more")
    channel = f"{queue.keys.namespace}:c1"
    queue.send(jobs.awaiting(queue.keys, "j1", channel))
    queue.fence("w1")

    with queue.listening(channel) as heard:
        assert queue.reap() == ["cancelled"]

    assert heard == [(channel, "j1")]
    assert queue.state() == QueueState(
        records={
            "j1": record(
                "cancelled", entry="gone", reason="no more", worker="w1", finished=NOW, ttl=ENDED
            )
        },
        meta={"enqueue": "1", "reap": "1", "cancel": "1"},
    )


def test_a_copy_of_a_job_that_moved_on_is_removed(queue: Bench) -> None:
    queue.taken(new_job("j1"), worker="w2")
    queue.foreign("normal", i="j1", m="call", t="1")
    queue.taken()
    queue.fence("w1")

    assert queue.reap() == ["stale"]

    assert queue.state() == QueueState(
        records={"j1": queued("normal")},
        lanes={"normal": [entry("j1", "w2")]},
        leases={"w2": 1},
        meta={"enqueue": "1"},
    )


@pytest.mark.parametrize("verb", ["complete", "bury", "cancel", "expire"])
def test_a_copy_of_a_job_that_ended_is_removed(queue: Bench, verb: str) -> None:
    queue.finish(ending(queue.taken(new_job("j1")), verb))
    queue.foreign("normal", i="j1", m="call", t="1")
    queue.fetch()
    queue.fence("w1")
    before = queue.state()

    assert queue.reap() == ["stale"]

    after = queue.state()
    assert after.lanes == {}
    assert (after.records, after.dead, after.meta) == (before.records, before.dead, before.meta)


def test_an_ending_stands_although_its_entry_is_pending_again(queue: Bench) -> None:
    """The state alone holds: the entry and its owner are back, as after a partial restore."""
    queue.taken(new_job("j1"))
    queue.note("j1", Field.STATE, "succeeded")
    queue.fence("w1")

    assert queue.reap() == ["stale"]

    state = queue.state()
    assert state.lanes == {}
    assert state.records["j1"]["state"] == "succeeded"


def test_an_entry_deleted_while_it_was_pending_is_cleared(queue: Bench) -> None:
    first = queue.taken(new_job("j1"), new_job("j2"))
    queue.client.xdel(queue.keys.stream("normal"), first.entry_id)
    queue.fence("w1")

    assert sorted(queue.reap()) == ["stale", "suspect"]

    state = queue.state()
    assert list(state.lanes) == ["suspect"]
    assert [found.fields["id"] for found in state.lanes["suspect"]] == ["j2"]


def test_nothing_is_reaped_where_no_worker_ever_was(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    before = queue.exact()

    assert queue.reap() == []

    assert queue.exact() == before


def last_step(queue: Bench) -> Call[list[str]]:
    """The script, with what was read for it."""
    flow = leases.reap(queue.keys, "w1", "normal", CRASH, str(NOW))
    step = next(flow)
    while not (isinstance(step, Call) and step.script is REAP):
        step = flow.send(queue.step(step))
    return step
