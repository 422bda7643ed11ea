"""Cron: whatever the expression, the zone and the days, exactly the ticks of a clock on the wall.

The oracle walks minute by minute, looks at the wall clock, and reads the expression by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rqueue.cron import DST, Cron

ZONES = (
    "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca",
    "Asia/Kathmandu", "UTC",
)  # fmt: skip
RULES: tuple[DST, ...] = ("once", "skip", "both")
MINUTE = timedelta(minutes=1)
NIGHT = datetime(2026, 10, 25, 12, tzinfo=UTC)
BEGIN, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
NAMES = {
    name: str(n)
    for names in (
        ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
        ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    )
    for n, name in enumerate(names)
    if name
}


def numbers(field: str, low: int, high: int) -> set[int]:
    """What a field names."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            begin, _, end = span.partition("-")
            first = int(NAMES.get(begin, begin))
            last = int(NAMES.get(end, end)) if end else (high if step else first)
        found |= set(range(first, last + 1, int(step or 1)))
    return found


class Wall:
    """Whether an expression names what a wall clock shows."""

    def __init__(self, text: str) -> None:
        minute, hour, day, month, weekday = text.split()
        self.minutes, self.hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self.days, self.months = numbers(day, 1, 31), numbers(month, 1, 12)
        self.weekdays = {n % 7 for n in numbers(weekday, 0, 6)}
        self.is_any_day, self.is_any_weekday = day == "*", weekday == "*"

    def names(self, shown: datetime) -> bool:
        in_month = shown.month in self.months
        in_time = shown.minute in self.minutes and shown.hour in self.hours
        return in_month and in_time and self._has_day(shown)

    def _has_day(self, shown: datetime) -> bool:
        is_day = shown.day in self.days
        is_weekday = shown.isoweekday() % 7 in self.weekdays
        if self.is_any_day or self.is_any_weekday:
            return is_day and is_weekday
        return is_day or is_weekday


def shown_at(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def walked(text: str, tz: str, dst: DST, first: datetime, last: datetime) -> list[datetime]:
    """The ticks from one moment to another, minute by minute; the walk begins two days before."""
    wall, zone = Wall(text), ZoneInfo(tz)
    ticks: list[datetime] = []
    moment = first - timedelta(days=2)
    latest = shown_at(moment - MINUTE, zone)
    while moment <= last:
        shown = shown_at(moment, zone)
        jumped: Iterator[datetime] = minutes(latest + MINUTE, shown)
        is_new = shown > latest
        is_named = wall.names(shown) and (is_new or dst == "both")
        if is_named or (dst == "once" and any(map(wall.names, jumped))):
            ticks.append(moment)
        latest = max(latest, shown)
        moment += MINUTE
    return [tick for tick in ticks if tick >= first]


def minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += MINUTE


def computed(text: str, tz: str, dst: DST, first: datetime, last: datetime) -> list[datetime]:
    found = Cron.parse(text, tz, dst).between(*(int(t.timestamp()) * 1000 for t in (first, last)))
    return [datetime.fromtimestamp(tick / 1000, UTC) for tick in found]


@cache
def changes(tz: str) -> list[datetime]:
    """The hours in which the offset of a zone becomes another, found hour by hour."""
    zone, found = ZoneInfo(tz), list[datetime]()
    moment, before = BEGIN, BEGIN.astimezone(zone).utcoffset()
    while moment < END:
        moment += timedelta(hours=1)
        after = moment.astimezone(zone).utcoffset()
        if after != before:
            found.append(moment)
        before = after
    return found


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: "{}-{}".format(*sorted(pair)))
    stepped = st.tuples(st.just("*") | span, st.integers(1, high)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    one = number.map(str) | span | stepped
    return st.just("*") | st.lists(one, min_size=1, max_size=3).map(",".join)


EXPRESSIONS = st.builds(
    "{} {} {} {} {}".format,
    field(0, 59),
    field(0, 23) | st.sampled_from(["1", "2", "1-3", "*/2"]),
    st.just("*") | field(1, 28),
    st.just("*") | field(1, 12),
    st.just("*") | field(0, 6),
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

    assert computed(text, tz, dst, first, last) == walked(text, tz, dst, first, last)


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("dst", RULES)
def test_every_change_of_the_clocks_from_2024_to_2030(tz: str, dst: DST) -> None:
    texts = ("30 2 * * *", "0 */2 * * *", "*/30 * * * *", "15 1-3 * * *", "0 0 * * *")
    for change in changes(tz):
        first, last = change - timedelta(hours=5), change + timedelta(hours=5)
        for text in texts:
            assert computed(text, tz, dst, first, last) == walked(text, tz, dst, first, last)


@given(DAILY, st.sampled_from(ZONES))
def test_under_once_no_local_minute_ticks_twice_and_each_calendar_day_has_its_own(
    text: str, tz: str
) -> None:
    """Of a whole year: as many ticks as the calendar has, less those that one jump made one."""
    zone, wall = ZoneInfo(tz), Wall(text)
    first, last = datetime(2026, 1, 1, tzinfo=zone), datetime(2026, 12, 31, 23, 59, tzinfo=zone)

    found = computed(text, tz, "once", first, last)

    assert found == sorted(set(found))
    shown = [shown_at(tick, zone) for tick in found]
    assert len(set(shown)) == len(shown)
    gaps = [gap for change in changes(tz) if (gap := gap_before(change, zone))]
    skipped = {minute for gap in gaps for minute in minutes(*gap)}
    calendar = days_of(wall, 2026)
    assert not {one for one in shown if wall.names(one)} ^ (calendar - skipped)
    for begin, end in gaps:
        is_due = any(map(wall.names, minutes(begin, end))) and end.year == 2026
        assert not is_due or end in shown


def gap_before(change: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """The local times that a change left out."""
    moment = change - timedelta(hours=1)
    while moment <= change:
        before, shown = shown_at(moment - MINUTE, zone), shown_at(moment, zone)
        if shown > before + MINUTE:
            return before + MINUTE, shown
        moment += MINUTE
    return None


def days_of(wall: Wall, year: int) -> set[datetime]:
    """Every minute of a year that an expression names."""
    times = [timedelta(hours=h, minutes=m) for h in wall.hours for m in wall.minutes]
    day, found = datetime(year, 1, 1), set[datetime]()  # noqa: DTZ001 - a wall clock's
    while day.year == year:
        if day.month in wall.months and wall._has_day(day):
            found |= {day + time for time in times}
        day += timedelta(days=1)
    return found


DAYS = ("L", "1,L", "*", "15", "*/10")
WEEKDAYS = ("L5", "1#2", "fri#1", "sun", "mon-fri", "6,0")


@given(
    st.integers(0, 59),
    st.integers(0, 23),
    st.sampled_from([(day, "*") for day in DAYS] + [("*", weekday) for weekday in WEEKDAYS]),
    st.integers(1, 3),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)
def test_where_no_clock_changes_it_is_what_croniter_says(
    minute: int, hour: int, days: tuple[str, str], step: int, begin: datetime
) -> None:
    """Of one restricted day field: croniter has no rule for both, where one has an L."""
    text = f"{minute} {hour} {days[0]} */{step} {days[1]}"
    begin = begin.replace(tzinfo=UTC)
    expected = croniter(text, begin, ret_type=datetime)

    cron, at = Cron.parse(text), int(begin.timestamp() * 1000)
    for _ in range(3):
        at = cron.next_after(at) or 0
        assert datetime.fromtimestamp(at / 1000, UTC) == expected.get_next(datetime)
