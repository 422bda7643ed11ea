"""Lanes and slots: what a fetch reads, in which order, and how much of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from rqueue.config import QueueShare, parse_queues
from rqueue.worker.lanes import lanes_of_turn, limits, order_of_queues
from rqueue.worker.slots import Slots

SPECIAL = ("released", "suspect", "last")
DOWN = ("critical", "high", "normal", "low")


@pytest.mark.parametrize("turn", range(30))
def test_without_fairness_every_fetch_looks_from_the_top(turn: int) -> None:
    assert lanes_of_turn(turn, 0) == SPECIAL + DOWN


def test_one_fetch_in_ten_looks_from_the_bottom() -> None:
    orders = Counter(lanes_of_turn(turn, 10)[3:] for turn in range(1, 1001))

    assert orders == {DOWN: 900, DOWN[::-1]: 100}


def test_a_new_worker_does_not_begin_from_the_bottom() -> None:
    assert lanes_of_turn(1, 10)[3:] == DOWN


def test_with_fairness_one_every_fetch_looks_from_the_bottom() -> None:
    assert {lanes_of_turn(turn, 1)[3:] for turn in range(10)} == {DOWN[::-1]}


@pytest.mark.parametrize("fairness", [0, 1, 2, 10])
def test_what_was_given_back_or_survived_a_crash_always_comes_first(fairness: int) -> None:
    assert {lanes_of_turn(turn, fairness)[:3] for turn in range(20)} == {SPECIAL}


def test_each_lane_may_fill_all_free_slots_but_suspects_have_their_own_limit() -> None:
    assert limits(SPECIAL + DOWN, 9, 3) == [
        ("released", 9),
        ("suspect", 3),
        ("last", 1),
        ("critical", 9),
        ("high", 9),
        ("normal", 9),
        ("low", 9),
    ]


@pytest.mark.parametrize(
    ("free", "suspects", "left_out"),
    [
        (9, 0, {"suspect"}),
        (9, -1, {"suspect"}),
        (0, 3, {*SPECIAL, *DOWN}),
    ],
)
def test_a_lane_that_may_give_nothing_is_not_read(
    free: int, suspects: int, left_out: set[str]
) -> None:
    read = {lane for lane, _ in limits(SPECIAL + DOWN, free, suspects)}

    assert {*SPECIAL, *DOWN} - read == left_out


def test_suspects_never_take_more_than_the_free_slots() -> None:
    assert dict(limits(SPECIAL, 1, 3))["suspect"] == 1


def test_queues_without_weights_are_taken_in_order() -> None:
    shares = parse_queues("b,a,c")

    assert {tuple(order_of_queues(shares, weighted=False)) for _ in range(50)} == {("b", "a", "c")}


def test_queues_are_first_as_often_as_their_weight_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rqueue.worker.lanes.random", Random(7))
    shares = (QueueShare("mail", 6), QueueShare("default", 3), QueueShare("slow", 1))

    first = Counter(order_of_queues(shares, weighted=True)[0] for _ in range(20_000))

    assert first["mail"] == pytest.approx(12_000, rel=0.05)
    assert first["default"] == pytest.approx(6_000, rel=0.05)
    assert first["slow"] == pytest.approx(2_000, rel=0.1)


def test_every_queue_is_looked_at_in_every_fetch() -> None:
    shares = parse_queues("a:1000,b,c")

    assert all(set(order_of_queues(shares, weighted=True)) == {"a", "b", "c"} for _ in range(100))


@pytest.mark.parametrize(
    ("size", "allowed"), [(1, 1), (2, 2), (4, 2), (5, 3), (100, 10), (101, 11), (10_000, 100)]
)
def test_as_many_suspects_run_at_a_time_as_the_root_of_the_slots(size: int, allowed: int) -> None:
    assert Slots(size).suspects_allowed == allowed


def test_slots_are_counted_with_their_suspects() -> None:
    slots = Slots(4)
    for lane in ("normal", "suspect", "last"):
        slots.take(lane)

    assert (slots.free, slots.taken, slots.suspects, slots.suspects_allowed) == (1, 3, 1, 1)

    for lane in ("suspect", "normal", "last"):
        slots.give_back(lane)

    assert (slots.free, slots.taken, slots.suspects, slots.suspects_allowed) == (4, 0, 0, 2)


async def test_who_waits_for_a_slot_is_told_when_one_is_given_back() -> None:
    slots = Slots(1)
    slots.take("normal")
    waiting = asyncio.create_task(slots.changed(60))
    asyncio.get_running_loop().call_soon(slots.give_back, "normal")

    async with asyncio.timeout(5):
        await waiting


async def test_who_waits_for_a_slot_looks_again_after_its_patience() -> None:
    async with asyncio.timeout(5):
        await Slots(1).changed(0.001)
