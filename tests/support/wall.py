"""A clock on the wall: reads a cron expression by itself, and walks from minute to minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from rqueue.cron import DST

MINUTE = timedelta(minutes=1)
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
    """What a field names, counted step by step from the beginning of each range to its end."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            begin, _, end = span.partition("-")
            first = int(NAMES.get(begin, begin))
            last = int(NAMES.get(end, end)) if end else (high if step else first)
        named = first
        while True:
            found.add(named)
            for _ in range(int(step or 1)):
                if named == last:
                    break
                named = low if named == high else named + 1
            else:
                continue
            break
    return found


def week(part: str) -> tuple[int, int]:
    """The day of the week, and which of them in its month: from its beginning, or -1, its last."""
    day, hashed, nth = part.lower().partition("#")
    return (int(NAMES.get(day, day)), int(nth)) if hashed else (int(day.strip("l")), -1)


class Wall:
    """Whether an expression names what a wall clock shows."""

    def __init__(self, text: str) -> None:
        second, minute, hour, day, month, weekday = ["0", *text.split()][-6:]
        self.seconds = numbers(second, 0, 59)
        self.minutes, self.hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self.has_last_day = "l" in day.lower().split(",")
        plain = ",".join(part for part in day.split(",") if part.lower() != "l")
        self.days, self.months = numbers(plain, 1, 31) if plain else set(), numbers(month, 1, 12)
        weeks = [part for part in weekday.split(",") if "#" in part or "l" in part.lower()]
        plain = ",".join(part for part in weekday.split(",") if part not in weeks)
        self.weekdays = {n % 7 for n in numbers(plain, 0, 6)} if plain else set()
        self.weeks = [week(part) for part in weeks]
        self.is_any_day = day == "*" or (len(self.days) == 31 and "*" in weekday)
        self.is_any_weekday = weekday == "*" or (len(self.weekdays) == 7 and "*" in day)

    def names(self, shown: datetime) -> bool:
        in_month = shown.month in self.months
        in_time = shown.minute in self.minutes and shown.hour in self.hours
        return in_month and in_time and shown.second in self.seconds and self.has_day(shown)

    def has_day(self, shown: datetime) -> bool:
        is_last = (shown + timedelta(days=1)).day == 1
        is_day = shown.day in self.days or (self.has_last_day and is_last)
        today = shown.isoweekday() % 7
        is_weekday = today in self.weekdays or any(
            today == one and (shown + timedelta(days=-7 * nth)).month != shown.month
            and (shown + timedelta(days=-7 * (nth - (1 if nth > 0 else -1)))).month == shown.month
            for one, nth in self.weeks
        )  # fmt: skip
        if self.is_any_day or self.is_any_weekday:
            return is_day and is_weekday
        return is_day or is_weekday


def shown_at(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def walked(
    text: str, tz: str, dst: DST, first: datetime, last: datetime, step: timedelta = MINUTE
) -> list[datetime]:
    """The ticks from one moment to another, step by step; the walk begins two days before."""
    wall, zone = Wall(text), ZoneInfo(tz)
    ticks: list[datetime] = []
    moment = first - timedelta(days=2)
    latest = shown_at(moment - step, zone)
    while moment <= last:
        shown = shown_at(moment, zone)
        jumped: Iterator[datetime] = minutes(latest + step, shown, step)
        is_new = shown > latest
        is_named = wall.names(shown) and (is_new or dst == "both")
        if is_named or (dst == "once" and any(map(wall.names, jumped))):
            ticks.append(moment)
        latest = max(latest, shown)
        moment += step
    return [tick for tick in ticks if tick >= first]


def minutes(begin: datetime, end: datetime, step: timedelta = MINUTE) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += step


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
        if day.month in wall.months and wall.has_day(day):
            found |= {day + time for time in times}
        day += timedelta(days=1)
    return found


def ticks_at_all(text: str) -> bool:
    wall = Wall(text)
    leap_year = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(366))
    return any(day.month in wall.months and wall.has_day(day) for day in leap_year)
