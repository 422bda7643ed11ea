"""When schedules tick: what the odd days do, worked out; periods; what is refused."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from rqueue import cron, zone
from rqueue.cron import DST, Cron, Every
from rqueue.crontab import Calendar
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


def test_the_next_tick_may_be_years_away() -> None:
    assert Cron.parse("0 0 29 2 *").next_after(ms("2096-03-01")) == ms("2104-02-29")
    assert Cron.parse("0 0 * 2 5#5").next_after(ms("2026-01-01")) == ms("2036-02-29")
    assert Cron.parse("0 0 1 1 *").next_after(ms("2199-06-01")) == ms("2200-01-01")
    assert Cron.parse("0 0 1 1 *").next_after(ms("2200-01-01")) is None


def test_a_rule_that_is_none_is_refused() -> None:
    wrong: Any = "twice"
    with pytest.raises(ConfigError, match="dst 'twice' is not one of once, skip, both"):
        Cron.parse("* * * * *", dst=wrong)


def test_a_machine_without_zones_has_utc_and_is_told_of_tzdata(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_of(name: str) -> ZoneInfo:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", none_of)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    monkeypatch.setattr(zone, "zone_of", zone.zone_of.__wrapped__)
    monkeypatch.setattr(cron, "zone_of", zone.zone_of)

    assert Cron.parse("0 0 * * *").dst == "once"
    with pytest.raises(ConfigError, match="no time zones: install the package tzdata"):
        Cron.parse("0 0 * * *", "Europe/Rome")


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


@pytest.mark.parametrize("far", [10**15, 2**63, 10**30])
def test_after_the_year_2200_there_is_nothing(far: int) -> None:
    cron = Cron.parse("* * * * *", ROME)

    assert cron.next_after(far) is None
    assert list(cron.between(far, far + 60_000)) == []


def test_two_that_say_the_same_are_one() -> None:
    assert len({Cron.parse("0 0 * * 5#2,L1", ROME), Cron.parse("0 0 * * 5#2,L1", ROME)}) == 1


def test_the_next_tick_of_every_second_does_not_pass_by_those_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two days of ticks, which a zone's change might need, would cost hundredths of a second."""
    passed: list[int] = []
    times = Calendar.times

    def counted(calendar: Calendar, first: int, end: int) -> Iterator[int]:
        for at in times(calendar, first, end):
            passed.append(at)
            yield at

    monkeypatch.setattr(Calendar, "times", counted)

    assert Cron.parse("* * * * * *", ROME).next_after(ms("2026-06-01")) == ms("2026-06-01") + 1000
    assert len(passed) == 1
