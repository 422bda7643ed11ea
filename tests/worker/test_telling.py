"""What a worker's log says of attempts that failed."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any

import pytest

from rqueue import Fail, RetryAfter
from rqueue.app import App
from rqueue.events import JobFinished
from tests.support.waiting import PATIENCE_S, Ears
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


async def test_the_end_of_a_job_is_told_with_its_own_context_variables(
    valkey_app: App,
) -> None:
    """They are those of whoever collects them for logs and traces."""
    who: ContextVar[str] = ContextVar("who", default="nobody")
    told: dict[str, str] = {}

    @valkey_app.observe
    def hear(event: Any) -> None:
        if isinstance(event, JobFinished):
            told[event.job_id] = who.get()

    @valkey_app.task
    async def work(number: int) -> None:
        who.set(f"user {number}")
        if number % 2:
            raise Fail

    jobs = await valkey_app.enqueue_many(work.call(n) for n in range(6))
    async with working(valkey_app):
        for job in jobs:
            await job.wait(PATIENCE_S)

    assert told == {job.id: f"user {n}" for n, job in enumerate(jobs)}
