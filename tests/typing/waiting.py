# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""Waiting: a handle knows the type of its task's result, alone and among others."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from rqueue import (
    App,
    AttemptError,
    Job,
    JobFailed,
    JobInfo,
    JobState,
    ResultTimeout,
    as_completed,
    results,
    wait,
)


def use(*values: object) -> None:
    """Whatever is assigned must be used."""


app = App()


@app.task
async def count(text: str) -> int:
    return len(text)


@app.task
async def forget(text: str) -> None: ...


async def one_job() -> None:
    job = await count.enqueue("x")
    assert_type(await job.result(), int)
    assert_type(await job.result(timeout=10), int)
    assert_type(job.result_sync(), int)
    assert_type(await (await forget.enqueue("x")).result(), None)
    assert_type(await job.wait(), JobState)
    assert_type(job.wait_sync(timeout=0.5), JobState)
    assert_type(await job.cancel("no longer needed"), str)
    assert_type(job.id, str)
    assert_type(job.status, str)

    text: str = await job.result()  # type: ignore[assignment]
    use(text)
    await job.result(timeout="10")  # type: ignore[arg-type]
    await job.result(10, 20)  # type: ignore[call-arg]
    await job.cancel(reason=7)  # type: ignore[arg-type]
    job.result_sync().upper()  # type: ignore[attr-defined]
    job.results()  # type: ignore[attr-defined]


async def what_is_known_of_a_job() -> None:
    info = await (await count.enqueue("x")).info()
    assert_type(info, JobInfo)
    assert_type(info.state, JobState)
    assert_type(info.state.is_final, bool)
    assert_type(info.finished_at, datetime | None)
    assert_type(info.errors, tuple[AttemptError, ...])

    info.state = JobState.DEAD  # type: ignore[misc]


async def many_jobs(jobs: list[Job[int]], flags: tuple[Job[bool], ...]) -> None:
    assert_type(await results(jobs, timeout=5), list[int])
    assert_type(await results(flags), list[bool])
    await wait(jobs, timeout=5)
    async for job in as_completed(jobs):
        assert_type(job, Job[int])
        assert_type(await job.result(), int)

    words: list[str] = await results(jobs)  # type: ignore[arg-type]
    use(words)
    await results(jobs[0])  # type: ignore[arg-type]
    await results(["a-1"])  # type: ignore[arg-type]
    list(as_completed(jobs))  # type: ignore[call-overload]


def handles_are_covariant(flag: Job[bool]) -> Job[int]:
    return flag


async def failures_tell_what_happened(job: Job[int]) -> str:
    try:
        return str(await job.result(timeout=1))
    except JobFailed as error:
        assert_type(error.reason, str)
        return error.reason
    except ResultTimeout as error:
        return str(error)
