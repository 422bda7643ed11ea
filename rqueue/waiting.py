"""Waiting for several jobs at once; each is pushed to us, none is polled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from rqueue.handle import Job
from rqueue.job import JobState

R = TypeVar("R")


async def wait(jobs: Sequence[Job[R]], timeout: float | None = None) -> None:
    """Return when every job has ended, however it did.

    Raises:
        ResultTimeout: one has not ended in time; names the first of them.
        JobNotFound: there is no such job, or its record has expired.
    """
    async for _ in as_completed(jobs, timeout):
        continue


async def as_completed(
    jobs: Sequence[Job[R]], timeout: float | None = None
) -> AsyncIterator[Job[R]]:
    """Yield each job as it ends; its result is there at once.

    Raises:
        ResultTimeout: not all have ended within ``timeout`` seconds.
        JobNotFound: there is no such job, or its record has expired.
    """
    waits = {asyncio.create_task(job.wait(timeout)): job for job in jobs}
    ended: asyncio.Queue[asyncio.Task[JobState]] = asyncio.Queue()
    for one in waits:
        one.add_done_callback(ended.put_nowait)
    try:
        for _ in range(len(waits)):
            one = await ended.get()
            one.result()
            yield waits[one]
    finally:
        for one in waits:
            one.cancel()


async def results(jobs: Sequence[Job[R]], timeout: float | None = None) -> list[R]:
    """The results of all jobs, in their order; raises the first failure."""
    return list(await asyncio.gather(*(job.result(timeout) for job in jobs)))
