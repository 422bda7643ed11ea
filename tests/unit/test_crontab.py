"""Cron expressions: which are read, and as what; which are refused, and with which words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rqueue.cron import Cron
from rqueue.errors import ConfigError


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


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
        ("05-5 10 3 jan-1 *", ["03 10:05"]),
        ("0 0 * * sun-0", ["04 00:00", "11 00:00", "18 00:00"]),
        ("59/15 10 3,4 * *", ["03 10:59", "04 10:59"]),
        ("0 22-4/3 3 * *", ["03 01:00", "03 04:00", "03 22:00"]),
        ("0 12 * * 5-7", ["02 12:00", "03 12:00", "04 12:00", "09 12:00"]),
        ("0 12 * * 0-7", ["01 12:00", "02 12:00", "03 12:00", "04 12:00", "05 12:00"]),
        ("0 0 * * 7#2", ["11 00:00"]),
        ("0 0 * * 7L", ["25 00:00"]),
        ("0 0 * * 6L", ["31 00:00"]),
        ("0,* 10 1 1 *", ["01 10:00", "01 10:01", "01 10:02"]),
        ("0 0 29-L * *", ["29 00:00", "30 00:00", "31 00:00"]),
        ("0 0 */10 * 1", ["01 00:00", "05 00:00", "11 00:00", "12 00:00"]),
        ("0 0 */10 * */1", ["01 00:00", "11 00:00", "21 00:00", "31 00:00"]),
        ("@yearly", ["01 00:00"]),
        ("@weekly", ["04 00:00", "11 00:00", "18 00:00", "25 00:00"]),
    ],
)
def test_expressions_of_january_2026(text: str, expected: list[str]) -> None:
    found = Cron.parse(text).between(ms("2026-01-01T00:00"), ms("2026-01-31T23:59"))

    shown = [f"{datetime.fromtimestamp(one / 1000, UTC):%d %H:%M}" for one in found]
    assert shown[: len(expected)] == expected


def test_six_fields_have_their_seconds_in_front() -> None:
    cron = Cron.parse("*/20 0 12 * * *")
    noon = ms("2026-01-01T12:00")

    assert list(cron.between(noon, noon + 60_000)) == [noon, noon + 20_000, noon + 40_000]
    assert cron.next_after(noon) == noon + 20_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("61 * * * *", "the minute '61' cannot be read; it takes 0-59"),
        ("* 24 * * *", "the hour '24' cannot be read; it takes 0-23"),
        ("* * 32 * *", "the day of month '32' cannot be read"),
        ("* * * foo *", "the month 'foo' cannot be read"),
        ("* * * * 8", "the day of week '8' cannot be read"),
        ("* * * * 1#6", "the day of week '1#6' cannot be read"),
        ("* * 15W * *", "the day of month '15W' cannot be read"),
        ("60 * * * * *", "the second '60' cannot be read"),
        ("*/0 * * * *", "the minute '*/0' cannot be read"),
        ("*/90 * * * *", "the minute '*/90' cannot be read"),
        ("*/90 * * * *", "steps up to 60"),
        ("0 0 0 * *", "the day of month '0' cannot be read; it takes 1-31 or L"),
        ("0 0 L-3 * *", "the day of month 'L-3' cannot be read"),
        ("0 0 * * 8L", "the day of week '8L' cannot be read"),
        ("0 0 * * 1,5#2", "or else only such as 5#2 and L5"),
        ("٣ * * * *", "the minute '٣' cannot be read"),
        ("? * * * *", "the minute '?' cannot be read"),
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
