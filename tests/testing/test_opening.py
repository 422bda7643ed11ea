"""What a harness needs to be opened, and what it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from rqueue import App
from rqueue.clock import now_ms
from rqueue.errors import ConfigError
from rqueue.testing import Harness

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def app() -> App:
    return App()


async def test_a_closed_harness_has_no_clock_and_is_not_opened_again(
    app: App, valkey_url: str
) -> None:
    rq = Harness(app, at=AT, url=valkey_url)
    with pytest.raises(ConfigError, match="not open"):
        await rq.clock.advance(hours=1)
    async with rq:
        pass

    with pytest.raises(ConfigError, match="not open"):
        await rq.clock.advance(hours=1)
    with pytest.raises(ConfigError, match="opened once"):
        await rq.__aenter__()

    assert abs(now_ms() - datetime.now(UTC).timestamp() * 1000) < 60_000


async def test_what_a_lifespan_raises_at_its_end_is_raised(valkey_url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        yield
        raise OSError("cannot close the till")

    with pytest.raises(OSError, match="cannot close the till"):
        async with Harness(App(lifespan=lifespan), url=valkey_url):
            pass


@pytest.mark.parametrize("span", [{"days": 10**10}, {"hours": float("nan")}, {"days": 10**6}])
async def test_a_time_that_is_none_is_named(
    app: App, valkey_url: str, span: dict[str, float]
) -> None:
    async with Harness(app, at=AT, url=valkey_url) as rq:
        with pytest.raises(ConfigError, match=r"no such span|from 1970-01-02 to 2200-01-01"):
            await rq.clock.advance(**span)

        assert rq.clock.now == AT


async def test_jobs_that_nobody_runs_are_told_of(
    app: App, valkey_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task
    async def work() -> None: ...

    async with Harness(app, at=AT, url=valkey_url) as rq:
        await work.options(queue="other").enqueue()
        await rq.clock.advance()
    assert "jobs wait in queue other" in caplog.text

    async with Harness(app, at=AT, url=valkey_url, queues=["other"]) as rq:
        await work.options(queue="other").enqueue()
        await rq.clock.advance()
        assert [run.task for run in rq.runs] == ["work"]


async def test_its_own_server_keeps_what_an_app_promises(app: App) -> None:
    app = App(durability="fsync")

    @app.task
    async def pay() -> str:
        return "paid"

    async with Harness(app) as rq:
        job = await pay.enqueue()
        await rq.clock.advance()
        assert (job.durability, await job.result(timeout=5)) == ("fsync", "paid")

    with pytest.raises(ConfigError, match="has no replica"):
        async with Harness(App(durability="replicated")):
            pass


here = App()


@here.task(isolation="process")
def pass_on() -> None:
    """In a child of the worker: where do its jobs go?"""
    answer.enqueue_sync()


@here.task
async def answer() -> None: ...


async def test_what_a_child_process_enqueues_goes_to_the_test_as_well(valkey_url: str) -> None:
    async with Harness(here, at=AT, url=valkey_url, patience=20) as rq:
        await pass_on.enqueue()
        await rq.clock.advance()

        # Which of them ends first is left to chance.
        assert sorted(run.task for run in rq.runs) == ["answer", "pass_on"]
