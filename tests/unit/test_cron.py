"""Cron expressions: which are read, which are refused, and what the odd days do, worked out."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from rqueue.cron import DST, Cron, Every
from rqueue.errors import ConfigError

ROME = "Europe/Rome"


def ms(text: str, tz: str = "UTC") -> int:
    """A moment; of one that comes twice the first."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp() * 1000)


def ticks(text: str, first: str, last: str, tz: str = "UTC", dst: DST | None = None) -> list[str]:
    """What the wall clock shows, the offset from UTC, and what is odd about it."""
    cron = Cron.parse(text, tz, dst)
    found = cron.between(ms(first, tz), ms(last, tz))
    return [
        f"{datetime.fromtimestamp(one / 1000, ZoneInfo(tz)):%d %H:%M %z} {cron.oddity(one)}".strip()
        for one in found
    ]


SPRING = ("2026-03-28T12:00", "2026-03-30T12:00")
AUTUMN = ("2026-10-24T12:00", "2026-10-26T12:00")


@pytest.mark.parametrize(
    ("text", "dst", "spring", "autumn"),
    [
        (
            "30 2 * * *", "once",
            ["29 03:00 +0200 moved", "30 02:30 +0200"],
            ["25 02:30 +0200 repeated", "26 02:30 +0100"],
        ),
        (
            "30 2 * * *", "skip",
            ["30 02:30 +0200"],
            ["25 02:30 +0200 repeated", "26 02:30 +0100"],
        ),
        (
            "30 2 * * *", "both",
            ["30 02:30 +0200"],
            ["25 02:30 +0200 repeated", "25 02:30 +0100 repeated", "26 02:30 +0100"],
        ),
        (
            "20,40 2 29,25 * *", "once",
            ["29 03:00 +0200 moved"],
            ["25 02:20 +0200 repeated", "25 02:40 +0200 repeated"],
        ),
        (
            "0 2,3 29,25 * *", "once",
            ["29 03:00 +0200"],
            ["25 02:00 +0200 repeated", "25 03:00 +0100"],
        ),
    ],
)  # fmt: skip
def test_a_change_of_the_clocks_in_rome(
    text: str, dst: DST, spring: list[str], autumn: list[str]
) -> None:
    assert ticks(text, *SPRING, tz=ROME, dst=dst) == spring
    assert ticks(text, *AUTUMN, tz=ROME, dst=dst) == autumn


def test_a_period_goes_on_through_the_hour_that_comes_twice() -> None:
    night = ("2026-10-25T01:30", "2026-10-25T03:00")

    assert ticks("*/30 * * * *", *night, tz=ROME) == [
        "25 01:30 +0200", "25 02:00 +0200 repeated", "25 02:30 +0200 repeated",
        "25 02:00 +0100 repeated", "25 02:30 +0100 repeated", "25 03:00 +0100",
    ]  # fmt: skip
    assert ticks("*/30 * * * *", *night, tz=ROME, dst="once") == [
        "25 01:30 +0200", "25 02:00 +0200 repeated", "25 02:30 +0200 repeated", "25 03:00 +0100",
    ]  # fmt: skip


def test_a_day_that_a_zone_left_out_makes_one_tick() -> None:
    """Samoa went over the date line: there was no 30 December 2011."""
    days = ("2011-12-28T13:00", "2012-01-01T00:00")

    assert ticks("0 */6 * * *", *days, tz="Pacific/Apia", dst="once") == [
        "28 18:00 -1000", "29 00:00 -1000", "29 06:00 -1000", "29 12:00 -1000", "29 18:00 -1000",
        "31 00:00 +1400", "31 06:00 +1400", "31 12:00 +1400", "31 18:00 +1400", "01 00:00 +1400",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), [
    ("30 2 * * *", "once"), ("0 */2 * * *", "once"), ("*/5 * * * *", "both"), ("@hourly", "both"),
    ("*/10 * * * * *", "both"), ("@daily", "once"),
])  # fmt: skip
def test_the_rule_follows_from_the_hour_where_none_is_given(text: str, rule: DST) -> None:
    assert Cron.parse(text).dst == rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15 10 * * *", ["01 10:15", "02 10:15", "03 10:15"]),
        ("*/20 10 1 * *", ["01 10:00", "01 10:20", "01 10:40"]),
        ("0 0 L * *", ["31 00:00"]),
        ("0 0 l jan *", ["31 00:00"]),
        ("0 0 * * fri#2", ["09 00:00"]),
        ("0 0 * * 5#2", ["09 00:00"]),
        ("0 0 * * L5", ["30 00:00"]),
        ("0 0 * * 5L", ["30 00:00"]),
        ("0 0 * * friL", ["30 00:00"]),
        ("0 12 13 * 1", ["05 12:00", "12 12:00", "13 12:00", "19 12:00", "26 12:00"]),
        ("0 12 ? * mon-tue", ["05 12:00", "06 12:00", "12 12:00", "13 12:00", "19 12:00"]),
        ("0 22-1 2 1 *", ["02 00:00", "02 01:00", "02 22:00", "02 23:00"]),
        ("30 0 12 1 1 *", ["01 12:00"]),
        ("5-5 10-10/2 3-3 * *", ["03 10:05"]),
        ("@yearly", ["01 00:00"]),
        ("@weekly", ["04 00:00", "11 00:00", "18 00:00", "25 00:00"]),
    ],
)
def test_expressions_of_january_2026(text: str, expected: list[str]) -> None:
    found = ticks(text, "2026-01-01T00:00", "2026-01-31T23:59")

    assert [one.removesuffix(" +0000") for one in found[: len(expected)]] == expected


def test_six_fields_have_their_seconds_in_front() -> None:
    cron = Cron.parse("*/20 0 12 * * *")
    noon = ms("2026-01-01T12:00")

    assert list(cron.between(noon, noon + 60_000)) == [noon, noon + 20_000, noon + 40_000]
    assert cron.next_after(noon) == noon + 20_000


def test_the_next_tick_may_be_years_away() -> None:
    assert Cron.parse("0 0 29 2 *").next_after(ms("2096-03-01")) == ms("2104-02-29")
    assert Cron.parse("0 0 * 2 5#5").next_after(ms("2026-01-01")) == ms("2036-02-29")
    assert Cron.parse("0 0 1 1 *").next_after(ms("2199-06-01")) == ms("2200-01-01")
    assert Cron.parse("0 0 1 1 *").next_after(ms("2200-01-01")) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("61 * * * *", "the minute '61' cannot be read; it takes 0-59"),
        ("* 24 * * *", "the hour '24' cannot be read; it takes 0-23"),
        ("* * 32 * *", "the day of month '32' cannot be read"),
        ("* * * foo *", "the month 'foo' cannot be read"),
        ("* * * * 8", "the day of week '8' cannot be read"),
        ("* * * * 1#6", "the day of week '1#6' cannot be read"),
        ("* * 15W * *", "the day of month '15w' cannot be read"),
        ("60 * * * * *", "the second '60' cannot be read"),
        ("*/0 * * * *", "the minute '*/0' cannot be read"),
        ("0 0 31 2 *", "never ticks"),
        ("0 0 30 2 *", "never ticks"),
        ("* * *", "has 3 fields: it takes five"),
        ("* * * * * * *", "has 7 fields: it takes five"),
        ("", "has 0 fields"),
        ("@reboot", "there is no such alias; there are @hourly"),
        ("H * * * *", "H and R draw a time"),
        ("0 0 R * *", "H and R draw a time"),
        (5, "a cron expression is text"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_field_named(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Cron.parse(text)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Roma", "did you mean 'Europe/Rome'?"),
        ("", "no time zone"),
        ("../x", "no time zone"),
    ],
)
def test_a_zone_that_is_none_is_refused(zone: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Cron.parse("* * * * *", zone)

    assert said in str(refused.value)


def test_a_period_ticks_at_its_multiples_whenever_it_was_begun() -> None:
    every = Every.of(90)

    assert every.next_after(0) == 90_000
    assert every.next_after(90_000) == 180_000
    assert list(every.between(1, 270_000)) == [90_000, 180_000, 270_000]
    assert list(every.between(0, 0)) == [0]


@pytest.mark.parametrize("seconds", [0.5, 0, -1, 400 * 86400])
def test_a_period_is_from_a_second_to_a_year(seconds: float) -> None:
    with pytest.raises(ConfigError, match="from 1 second to 366 days"):
        Every.of(seconds)


def test_the_epoch_is_where_time_begins() -> None:
    assert Cron.parse("0 0 1 1 *").next_after(-(10**15)) == 0
    assert datetime.fromtimestamp(0, UTC).year == 1970
