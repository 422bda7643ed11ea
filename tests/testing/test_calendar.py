"""A year of a full calendar, run for real on the clock of a test; the counts are arithmetic."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import cycle, islice

from rqueue import App
from rqueue.testing import Harness

YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
ZONES = ("UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
DAYS, WEEKS, WORKING_DAYS = 365, 52, 261
"""Of 2026, which begins on a Thursday and so has a fifty-third one."""

CALENDAR = (
    # How many schedules, the expression, whether in all the zones, runs of each in the year.
    (3, "0 8-18 * * *", False, 11 * DAYS),
    (5, "0 */6 * * *", False, 4 * DAYS),
    (100, "{half} {hour} * * *", True, DAYS),
    (40, "{half} {hour} * * mon-fri", True, WORKING_DAYS),
    (30, "0 {hour} * * sat", True, WEEKS),
    (12, "0 {hour} {day} * *", True, 12),
    (6, "30 {hour} L * *", True, 12),
    (4, "0 {hour} 1 */3 *", True, 4),
)


async def test_a_year_of_200_schedules_has_exactly_its_runs(valkey_url: str) -> None:
    app = App()
    ran: Counter[str] = Counter()

    @app.task
    async def note(name: str) -> None:
        ran[name] += 1

    wanted: dict[str, int] = {}
    begin, end = YEAR
    async with Harness(app, at=begin, url=valkey_url) as rq:
        for count, pattern, is_local, runs in CALENDAR:
            zones = islice(cycle(ZONES if is_local else ("UTC",)), count)
            for n, zone in enumerate(zones):
                # The year is UTC's: what a zone loses at one end of it, it gains at the other.
                expression = pattern.format(hour=n % 4 + 6, half=n % 2 * 30, day=n + 2)
                name = f"schedule-{len(wanted)}"
                await app.schedules.upsert(name, note.call(name), cron=expression, tz=zone)
                wanted[name] = runs
        await rq.clock.advance_to(end)

    assert len(wanted) == 200
    assert dict(ran) == wanted
    assert len(rq.runs) == sum(wanted.values())
