"""What a worker's log says of attempts that failed."""

from __future__ import annotations

import re

import pytest

from rqueue import RetryAfter
from rqueue.app import App
from rqueue.events import JobFinished
from tests.support.waiting import Ears
from tests.support.working import working


async def test_a_failed_attempt_says_why_how_long_it_took_and_when_the_next_one_comes(
    valkey_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears(valkey_app)

    @valkey_app.task(name="charge")
    async def charge() -> None:
        raise RetryAfter(600, "the bank is closed")

    async with working(valkey_app):
        job = await charge.enqueue()
        await ears.hears(JobFinished)

    (told,) = [one.getMessage() for one in caplog.records if "task=charge" in one.getMessage()]
    first, *_, last = told.splitlines()
    head = f"retry task=charge job={job.id} attempt=1"
    assert re.fullmatch(head + r" took=\d\.\d{3}s again_in=600\.0s: \S*RetryAfter", first)
    assert last.endswith("RetryAfter: the bank is closed")
