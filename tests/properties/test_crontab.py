"""Cron expressions: read as croniter does where it is right; what cannot be read is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from croniter import croniter
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rqueue.cron import Cron
from rqueue.errors import ConfigError
from tests.support.wall import ticks_at_all


def croniter_reads(low: int, high: int, *names: str) -> st.SearchStrategy[str]:
    """Fields that croniter reads as they are meant: no 5-5, and no step over the end."""
    number = st.integers(low, high).map(str) | st.sampled_from(names or (str(low),))
    span = (
        st.tuples(st.integers(low, high), st.integers(low, high))
        .filter(lambda pair: pair[0] < pair[1])
        .map(lambda pair: "{}-{}".format(*pair))
    )
    stepped = st.tuples(st.just("*") | span, st.integers(1, high - low + 1)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    return st.just("*") | st.lists(number | span | stepped, min_size=1, max_size=3).map(",".join)


WEEKS = st.lists(
    st.builds("{}#{}".format, st.sampled_from(["0", "1", "fri", "sat"]), st.integers(1, 5))
    | st.builds("L{}".format, st.integers(0, 6)),
    min_size=1,
    max_size=2,
).map(",".join)
WHOLE_DAYS = st.tuples(croniter_reads(1, 31), croniter_reads(0, 6, "mon", "fri", "sun"))
ODD_DAYS = st.tuples(st.sampled_from(["L", "1,L", "15,L"]), st.just("*")) | st.tuples(
    st.just("*"), WEEKS
)


@given(
    croniter_reads(0, 59),
    croniter_reads(0, 23),
    WHOLE_DAYS | ODD_DAYS,
    croniter_reads(1, 12, "jan", "feb", "dec"),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)
def test_where_no_clock_changes_it_is_what_croniter_says(
    minute: str, hour: str, days: tuple[str, str], month: str, begin: datetime
) -> None:
    """croniter has no rule for two restricted day fields where one has an L or a #."""
    text = f"{minute} {hour} {days[0]} {month} {days[1]}"
    begin = begin.replace(tzinfo=UTC)
    assume(set("L#").intersection(text) or ticks_at_all(text))
    cron = Cron.parse(text)
    expected = croniter(text, begin, ret_type=datetime)

    at = int(begin.timestamp() * 1000)
    for _ in range(3):
        at = cron.next_after(at) or 0
        assert datetime.fromtimestamp(at / 1000, UTC) == expected.get_next(datetime)


PIECES = [
    "*",
    "?",
    "L",
    "H",
    "W",
    "#",
    "-",
    "/",
    ",",
    "0",
    "1",
    "5",
    "7",
    "05",
    "59",
    "60",
    "mon",
    "jan",
    "*/5",
    "1-5",
    "5L",
    "L5",
    "5#2",
    "0,*",
    "1-h",
    "٣",
    "_",
    "@",
]


@settings(max_examples=300)
@given(
    st.lists(
        st.just("0") | st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
        min_size=4,
        max_size=7,
    )
)
def test_any_text_is_read_or_refused_in_one_way(fields: list[str]) -> None:
    with suppress(ConfigError):
        assert Cron.parse(" ".join(fields)).next_after(0)
