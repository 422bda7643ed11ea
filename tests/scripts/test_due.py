"""due: which jobs are due, and when the next one is. Reads only."""

from __future__ import annotations

import pytest

from rqueue.errors import StoreError
from rqueue.store.calls import schedule
from rqueue.store.calls.schedule import Due, Promoted
from tests.support.bench import Bench, new_job
from tests.support.queue_state import NOW, entry


def due(queue: Bench, now: int, limit: int = 100) -> Due:
    return queue.send(schedule.due(queue.keys, limit, str(now)))


def test_an_empty_schedule_has_nothing_to_wait_for(queue: Bench) -> None:
    assert due(queue, NOW) == Due([], None)


def test_due_jobs_are_listed_in_order_with_the_wait_for_the_next(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{ms}", due=f"+{ms}") for ms in (3000, 1000, 2000, 9000)))
    before = queue.exact()

    assert due(queue, NOW + 2999) == Due(["j1000", "j2000"], 1)
    assert due(queue, NOW + 3000) == Due(["j1000", "j2000", "j3000"], 6000)
    assert due(queue, NOW + 9000) == Due(["j1000", "j2000", "j3000", "j9000"], None)

    assert queue.exact() == before


def test_more_due_jobs_than_the_limit_need_no_wait(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{ms}", due=f"+{ms}") for ms in (1, 2, 3)))

    assert due(queue, NOW + 5, limit=2) == Due(["j1", "j2"], 0)


def test_the_first_ones_may_be_left_out(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{ms}", due=f"+{ms}") for ms in (1, 2, 3, 9)))

    found = [queue.send(schedule.due(queue.keys, 2, str(NOW + 5), skip=n)) for n in range(5)]

    assert found == [
        Due(["j1", "j2"], 0),
        Due(["j2", "j3"], 4),
        Due(["j3"], 4),
        Due([], 4),
        Due([], None),
    ]


def test_by_its_own_clock_redis_finds_what_was_due_long_ago(queue: Bench) -> None:
    queue.enqueue(new_job("past", due="+1000"))

    assert queue.send(schedule.due(queue.keys)) == Due(["past"], None)


def test_a_schedule_of_a_wrong_type_is_an_error(queue: Bench) -> None:
    queue.client.set(queue.keys.schedule, "not a sorted set")
    before = queue.exact()

    with pytest.raises(StoreError):
        due(queue, NOW)

    assert queue.exact() == before


def test_one_round_moves_what_is_due_and_tells_when_to_come_again(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{ms}", due=f"+{ms}") for ms in (1000, 2000, 9000)))

    moved = queue.run(schedule.promote_due(queue.keys, now=str(NOW + 2000)))

    assert moved == Promoted(2, 7000, listed=2)
    state = queue.state()
    assert state.lanes == {"normal": [entry("j1000"), entry("j2000")]}
    assert state.schedule == {"j9000": NOW + 9000}


def test_a_round_tells_how_many_are_stuck(queue: Bench) -> None:
    queue.enqueue(*(new_job(f"j{n}", due=f"+{n}") for n in (1, 2)))
    queue.client.delete(queue.keys.job("j1"))
    queue.client.set(queue.keys.job("j1"), "not a hash")

    moved = queue.run(schedule.promote_due(queue.keys, now=str(NOW + 2)))

    assert moved == Promoted(1, None, listed=2, stuck=1)


def test_a_round_with_nothing_due_only_tells_the_wait(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+1000"))
    before = queue.exact()

    assert queue.run(schedule.promote_due(queue.keys, now=str(NOW))) == Promoted(0, 1000)

    assert queue.exact() == before
