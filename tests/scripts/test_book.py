"""book: what a worker has counted since it last did is added to the history of its queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rqueue.errors import CorruptKey
from rqueue.history import HOUR_MS, MINUTE_MS
from rqueue.store.calls.history import Booking, book
from tests.support.bench import Bench
from tests.support.queue_state import NOW

MINUTE, HOUR = NOW // MINUTE_MS, NOW // HOUR_MS
DAY = 24 * HOUR_MS
ONE = [("mail.send", "s=2 u=1500 r3=2")]


def booked(
    queue: Bench,
    counts: Sequence[tuple[str, str]] = ONE,
    failures: Sequence[bytes] = (),
    *,
    number: int = 1,
    name: str = "w1",
    now: int = NOW,
    guess: int | None = None,
) -> str:
    booking = Booking(name, number, counts, failures)
    return queue.run(book(queue.keys, booking, now if guess is None else guess, str(now)))


def history(queue: Bench) -> dict[str, Any]:
    return queue.exact().history


def test_it_stands_under_its_minute_and_its_hour(queue: Bench) -> None:
    assert booked(queue, failures=[b"first", b"second"]) == "booked"

    counted = {"mail.send": "s=2 u=1500 r3=2"}
    assert history(queue) == {
        f"minute:{MINUTE}": counted,
        f"hour:{HOUR}": counted,
        "failures": ["second", "first"],
        "booked": {"w1": f"1 {NOW}"},
    }
    assert queue.exact().strange == {}


def test_bookings_of_several_workers_and_minutes_are_added_up(queue: Bench) -> None:
    booked(queue)
    booked(queue, [("mail.send", "s=1 f=1 u=7 r5=1"), ("other", "x=1")], name="w2")
    booked(queue, [("mail.send", "s=1")], number=2, now=NOW + MINUTE_MS)

    first = {"mail.send": "s=3 u=1507 r3=2,,1 f=1", "other": "x=1"}
    assert history(queue) == {
        f"minute:{MINUTE}": first,
        f"minute:{MINUTE + 1}": {"mail.send": "s=1"},
        f"hour:{HOUR}": first | {"mail.send": "s=4 u=1507 r3=2,,1 f=1"},
        "booked": {"w1": f"2 {NOW + MINUTE_MS}", "w2": f"1 {NOW}"},
    }


@pytest.mark.parametrize("later", [0, MINUTE_MS, HOUR_MS])
def test_what_was_booked_already_is_not_booked_again(queue: Bench, later: int) -> None:
    booked(queue, failures=[b"f"])
    before = history(queue)

    assert booked(queue, failures=[b"f"], now=NOW + later) == "already"

    assert history(queue) == before


@pytest.mark.parametrize("guess", [NOW - HOUR_MS, NOW + DAY, 0])
def test_the_minute_is_that_of_redis_whatever_the_worker_takes_it_for(
    queue: Bench, guess: int
) -> None:
    assert booked(queue, guess=guess) == "booked"

    assert set(history(queue)) == {f"minute:{MINUTE}", f"hour:{HOUR}", "booked"}


def test_without_a_time_given_it_is_now(queue: Bench) -> None:
    booking = Booking("w1", 1, ONE)
    seconds, _ = queue.client.time()

    assert queue.run(book(queue.keys, booking, 0)) == "booked"

    (minute,) = (key for key in history(queue) if key.startswith("minute"))
    assert int(minute.removeprefix("minute:")) - seconds // 60 in (0, 1)


def test_every_key_expires(queue: Bench) -> None:
    booked(queue, failures=[b"f"])

    hours = {
        key: round(queue.client.pttl(name) / HOUR_MS)  # type: ignore[operator]
        for key, name in {
            "minute": queue.keys.minute(MINUTE),
            "hour": queue.keys.hour(HOUR),
            "failures": queue.keys.failures,
            "booked": queue.keys.booked,
        }.items()
    }
    assert hours == {"minute": 25, "hour": 170, "failures": 170, "booked": 25}


def test_only_the_latest_failures_are_kept(queue: Bench) -> None:
    for number in range(1, 7):
        lines = [f"{number} {n}".encode() for n in range(100)]
        booked(queue, [], lines, number=number)

    kept = history(queue)["failures"]
    assert (len(kept), kept[0], kept[-1]) == (500, "6 99", "2 0")


def test_tasks_beyond_what_a_bucket_holds_count_together(queue: Bench) -> None:
    booked(queue, [(f"t{n}", "s=1") for n in range(200)])
    booked(queue, [("t7", "s=1"), ("new", "s=1"), ("newer", "s=2 f=1")], number=2)

    for key in (f"minute:{MINUTE}", f"hour:{HOUR}"):
        held = history(queue)[key]
        assert (len(held), held["t7"], held["_other"]) == (201, "s=2", "s=3 f=1")


def test_a_new_worker_lets_those_be_forgotten_that_have_long_been_silent(queue: Bench) -> None:
    booked(queue)
    booked(queue, name="w2", now=NOW + HOUR_MS)
    queue.client.hset(queue.keys.booked, "stranger", "nonsense")

    later = NOW + DAY + HOUR_MS + 1
    booked(queue, name="w3", now=later)

    assert history(queue)["booked"] == {"w2": f"1 {NOW + HOUR_MS}", "w3": f"1 {later}"}


@pytest.mark.parametrize(
    "junk",
    ["", "nonsense", "s=", "=1", "s=-1", f"s={'9' * 30}", "\xff s=x", "r999999999999=1", "r=,,"],
)
def test_what_a_stranger_wrote_counts_as_nothing(queue: Bench, junk: str) -> None:
    queue.client.hset(queue.keys.minute(MINUTE), "mail.send", junk)
    queue.client.hset(queue.keys.booked, "w1", junk)

    assert booked(queue, [("mail.send", "s=2")]) == "booked"

    assert history(queue)[f"minute:{MINUTE}"] == {"mail.send": "s=2"}


@pytest.mark.parametrize("key", ["minute", "hour", "failures", "booked"])
def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench, key: str) -> None:
    names = {"minute": queue.keys.minute(MINUTE), "hour": queue.keys.hour(HOUR)}
    queue.client.set(names.get(key) or getattr(queue.keys, key), "of a wrong type")
    before = queue.exact()

    with pytest.raises(CorruptKey, match="history"):
        booked(queue, failures=[b"f"])

    after = queue.exact()
    assert (after, after.history) == (before, before.history)
