"""Cron: whatever the expression, the zone and the days, the ticks of a clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rqueue.cron import DST, Cron
from tests.support.wall import (
    BEGIN,
    Wall,
    changes,
    days_of,
    gap_before,
    minutes,
    shown_at,
    ticks_at_all,
    walked,
)

ZONES = (
    "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca",
    "Asia/Kathmandu", "UTC",
)  # fmt: skip
RULES: tuple[DST, ...] = ("once", "skip", "both")
NIGHT = datetime(2026, 10, 25, 12, tzinfo=UTC)


def computed(text: str, tz: str, dst: DST, first: datetime, last: datetime) -> list[datetime]:
    found = Cron.parse(text, tz, dst).between(*(int(t.timestamp()) * 1000 for t in (first, last)))
    return [datetime.fromtimestamp(tick / 1000, UTC) for tick in found]


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: "{}-{}".format(*pair))
    stepped = st.tuples(st.just("*") | span, st.integers(1, high - low + 1)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    one = number.map(str) | span | stepped
    return st.just("*") | st.lists(one, min_size=1, max_size=3).map(",".join)


NTH = st.builds("{}#{}".format, st.integers(0, 6), st.integers(1, 5)) | st.builds(
    "l{}".format, st.integers(0, 6)
)
EXPRESSIONS = st.builds(
    "{} {} {} {} {}".format,
    field(0, 59),
    field(0, 23) | st.sampled_from(["1", "2", "1-3", "*/2"]),
    st.sampled_from(["*", "l", "1,l", "10-12,l"]) | field(1, 31),
    st.just("*") | st.sampled_from(["mar", "oct-dec", "apr,nov"]) | field(1, 12),
    st.just("*") | st.sampled_from(["sun", "mon-fri", "sat,sun"]) | NTH | field(0, 6),
)


DAILY = st.builds(
    "{} {} * * *".format,
    st.lists(st.integers(0, 59), min_size=1, max_size=3, unique=True).map(
        lambda found: ",".join(map(str, found))
    ),
    st.sampled_from(["0", "1", "2", "1-3", "*/2", "2,3"]),
)


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, datetime, datetime]:
    """A zone and a day or two, most often around a change of its clocks."""
    tz = draw(st.sampled_from(ZONES))
    around = changes(tz)
    if around and draw(st.integers(0, 3)):
        first = draw(st.sampled_from(around)) - timedelta(minutes=draw(st.integers(0, 1500)))
    else:
        first = BEGIN + timedelta(minutes=draw(st.integers(0, 7 * 365 * 1440)))
    return tz, first, first + timedelta(minutes=draw(st.integers(0, 2000)))


@settings(max_examples=400)
@given(EXPRESSIONS, windows(), st.sampled_from(RULES))
@example("30 2 * * *", ("Europe/Rome", NIGHT - timedelta(days=1), NIGHT), "once")
def test_the_ticks_are_those_of_a_walk_from_minute_to_minute(
    text: str, window: tuple[str, datetime, datetime], dst: DST
) -> None:
    tz, first, last = window
    assume(ticks_at_all(text))

    assert computed(text, tz, dst, first, last) == walked(text, tz, dst, first, last)


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("dst", RULES)
def test_every_change_of_the_clocks_from_2024_to_2030(tz: str, dst: DST) -> None:
    texts = ("30 2 * * *", "0 */2 * * *", "*/30 * * * *", "15 1-3 * * *", "0 0 * * *")
    for change in changes(tz):
        first, last = change - timedelta(hours=5), change + timedelta(hours=5)
        for text in texts:
            assert computed(text, tz, dst, first, last) == walked(text, tz, dst, first, last)


@given(DAILY, st.sampled_from(ZONES), st.integers(2024, 2030))
def test_under_once_no_local_minute_ticks_twice_and_each_calendar_day_has_its_own(
    text: str, tz: str, year: int
) -> None:
    """Of a whole year: as many ticks as the calendar has, less those that one jump made one."""
    zone, wall = ZoneInfo(tz), Wall(text)
    first, last = datetime(year, 1, 1, tzinfo=zone), datetime(year, 12, 31, 23, 59, tzinfo=zone)

    found = computed(text, tz, "once", first, last)

    assert found == sorted(set(found))
    shown = [shown_at(tick, zone) for tick in found]
    assert len(set(shown)) == len(shown)
    gaps = [gap for change in changes(tz) if (gap := gap_before(change, zone))]
    skipped = {minute for gap in gaps for minute in minutes(*gap)}
    calendar = days_of(wall, year)
    assert not {one for one in shown if wall.names(one)} ^ (calendar - skipped)
    for begin, end in gaps:
        is_due = any(map(wall.names, minutes(begin, end))) and end.year == year
        assert not is_due or end in shown


@pytest.mark.parametrize("tz", ["Europe/Rome", "Australia/Lord_Howe"])
@pytest.mark.parametrize("dst", RULES)
def test_seconds_are_those_of_a_walk_from_ten_seconds_to_ten_seconds(tz: str, dst: DST) -> None:
    step = timedelta(seconds=10)
    for change in changes(tz)[:2]:
        first, last = change - timedelta(hours=2), change + timedelta(hours=3)
        for text in ("*/10 * * * * *", "20,50 15 1-3 * * *", "30/10 */15 2 * * *"):
            expected = walked(text, tz, dst, first, last, step)
            assert computed(text, tz, dst, first, last) == expected


@given(EXPRESSIONS, windows(), st.sampled_from(RULES))
def test_the_next_tick_is_the_first_of_those_between(
    text: str, window: tuple[str, datetime, datetime], dst: DST
) -> None:
    tz, first, last = window
    assume(ticks_at_all(text))
    cron, begin, end = (
        Cron.parse(text, tz, dst),
        *(int(t.timestamp()) * 1000 for t in (first, last)),
    )

    found = list(cron.between(begin, end))[:50]

    at = begin - 1
    for tick in found:
        at = cron.next_after(at) or 0
        assert at == tick
        assert cron.next_after(tick - 1) == tick
