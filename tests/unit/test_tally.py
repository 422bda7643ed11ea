"""Counts add up, whoever counted them."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rqueue.worker.readings import Readings
from rqueue.worker.reports import Report, Reports
from rqueue.worker.tally import Histogram, QueueTally, Tally, TaskTally

counts = st.integers(0, 1000)
histograms = st.builds(
    Histogram, st.lists(counts, min_size=3, max_size=3), st.integers(0, 100).map(float)
)
named = st.dictionaries(st.sampled_from(["a", "b", "c"]), counts)
tasks = st.builds(
    TaskTally, histograms, succeeded=counts, attempts=named, ends=named, retries=named, errors=named
)
queues = st.builds(
    QueueTally, histograms, histograms, named, counts, counts, counts, counts, counts
)
tallies = st.builds(
    Tally,
    st.dictionaries(st.tuples(st.sampled_from("qr"), st.sampled_from("tu")), tasks),
    st.dictionaries(st.sampled_from("qr"), queues),
    named,
)


def total(of: object) -> float:
    """Every number in it."""
    if isinstance(of, int | float):
        return of
    if isinstance(of, list | tuple):
        return sum(map(total, of))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    return sum(map(total, of.values())) if isinstance(of, dict) else 0  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def plain(tally: Tally) -> object:
    return msgspec.msgpack.decode(msgspec.msgpack.encode([*tally.tasks.values(), tally.queues]))


@given(st.lists(tallies, max_size=4))
def test_a_sum_holds_all_that_was_added_and_what_was_added_stays(parts: list[Tally]) -> None:
    before = [msgspec.msgpack.encode(one) for one in parts]
    found = Tally()
    for one in parts:
        found.add(one)

    assert total(plain(found)) == sum(total(plain(one)) for one in parts)
    assert sum(found.stalls.values()) == sum(sum(one.stalls.values()) for one in parts)
    assert [msgspec.msgpack.encode(one) for one in parts] == before


def test_of_several_processes_the_worst_lag_and_the_oldest_fetch_count() -> None:
    first = Readings(
        slots=10, busy=3, lag_s=0.5, fetched_at=200.0, finished_at=100.0,
        running={("q", "t"): 2}, longest_s={"q": 5.0},
    )  # fmt: skip
    second = Readings(
        slots=10, busy=1, is_draining=True, lag_s=0.1, fetched_at=150.0, finished_at=170.0,
        running={("q", "t"): 1, ("q", "u"): 1}, longest_s={"q": 3.0, "r": 1.0},
    )  # fmt: skip
    found = Readings()
    for one in (first, second, Readings()):
        found.add(one)

    assert found == Readings(
        slots=20, busy=4, is_draining=True, lag_s=0.5, fetched_at=150.0, finished_at=170.0,
        running={("q", "t"): 3, ("q", "u"): 1}, longest_s={"q": 5.0, "r": 1.0},
    )  # fmt: skip


@given(st.lists(tallies, max_size=3), st.lists(st.integers(1, 50), min_size=1))
def test_reports_arrive_whole_however_they_are_cut(parts: list[Tally], cuts: list[int]) -> None:
    sent = [Report("", "no", Readings(tally=one), has_joined=True) for one in parts]
    data = b"".join(one.framed() for one in sent)
    reports, heard, at = Reports(), list[Report](), 0
    while at < len(data):
        size = cuts[at % len(cuts)]
        heard += reports.feed(data[at : at + size])
        at += size

    assert heard == sent
