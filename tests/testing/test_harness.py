"""The harness: delays, retries and schedules through a real worker, in a test's own time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis import Redis

from rqueue import App, Retry, RetryAfter, Snooze
from rqueue.clock import now_ms
from rqueue.errors import ConfigError, JobExpired, JobFailed, ResultGone
from rqueue.testing import Harness, Run, StillBusy, harness
from tests.support.clients import client
from tests.support.waiting import eventually

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def app() -> App:
    return App()


def told(runs: list[Run]) -> list[tuple[str, str, str]]:
    return [(run.task, f"{run.at:%m-%d %H:%M:%S}", run.ending) for run in runs]


async def test_a_delayed_job_runs_when_its_time_has_come_and_not_before(
    app: App, valkey_url: str
) -> None:
    @app.task
    async def remind(name: str) -> str:
        return f"hello {name}"

    async with Harness(app, at=AT, url=valkey_url) as rq:
        job = await remind.options(delay="24h").enqueue("ann")
        await rq.clock.advance(hours=23, minutes=59)
        assert (rq.runs, (await job.info()).state) == ([], "scheduled")

        await rq.clock.advance(hours=1)

        assert told(rq.runs) == [("remind", "03-02 12:00:00", "complete")]
        assert await job.result(timeout=5) == "hello ann"
        assert rq.clock.now == AT + timedelta(hours=24, minutes=59)


async def test_retries_follow_their_backoff(app: App, valkey_url: str) -> None:
    @app.task(retry=Retry(max_attempts=4, base=60, factor=2))
    async def pay() -> None:
        raise ConnectionError("the bank is closed")

    async with Harness(app, at=AT, url=valkey_url) as rq:
        job = await pay.enqueue()
        await rq.clock.advance(hours=1)

        assert [(run.attempt, run.ending, run.error) for run in rq.runs] == [
            (1, "retry", "ConnectionError"),
            (2, "retry", "ConnectionError"),
            (3, "retry", "ConnectionError"),
            (4, "bury", "ConnectionError"),
        ]
        with pytest.raises(JobFailed, match="the bank is closed"):
            await job.result(timeout=5)
    waits = [after.at - before.at for before, after in pairwise(rq.runs)]
    bounds = [timedelta(minutes=minutes) for minutes in (1, 2, 4)]
    assert rq.runs[0].at == AT
    assert all(timedelta(0) < wait <= bound for wait, bound in zip(waits, bounds, strict=True))


async def test_schedules_in_code_run_at_their_ticks_and_heed_the_odd_days(
    app: App, valkey_url: str
) -> None:
    @app.cron("30 2 * * *", tz="Europe/Rome")
    async def nightly() -> None: ...

    rome = ZoneInfo("Europe/Rome")
    async with Harness(app, at=datetime(2026, 3, 27, tzinfo=rome), url=valkey_url) as rq:
        await rq.clock.advance(days=4)

    # On the 29th there is no half past two in Rome: it runs when the clocks have changed.
    assert [f"{run.at.astimezone(rome):%d %H:%M}" for run in rq.runs] == [
        "27 02:30", "28 02:30", "29 03:00", "30 02:30",
    ]  # fmt: skip


async def test_schedules_made_at_run_time_tick_as_well(app: App, valkey_url: str) -> None:
    @app.task
    async def report(week: int) -> None: ...

    async with Harness(app, at=AT, url=valkey_url) as rq:
        await app.schedules.upsert("weekly", report.call(7), cron="0 9 * * mon")
        await rq.clock.advance_to(datetime(2026, 3, 16, 12, tzinfo=UTC))

        assert told(rq.runs) == [
            ("report", "03-02 09:00:00", "complete"),
            ("report", "03-09 09:00:00", "complete"),
            ("report", "03-16 09:00:00", "complete"),
        ]
        assert (await app.schedules.get("weekly")).next_run == datetime(2026, 3, 23, 9, tzinfo=UTC)


async def test_what_comes_due_runs_in_order_with_all_that_follows_from_it(
    app: App, valkey_url: str
) -> None:
    seen: list[tuple[str, datetime]] = []

    @app.task
    async def first() -> None:
        seen.append(("first", rq.clock.now))
        await second.enqueue()
        await third.options(delay="30m").enqueue()

    @app.task(queue="other")
    async def second() -> None:
        seen.append(("second", rq.clock.now))

    @app.task
    async def third() -> None:
        seen.append(("third", rq.clock.now))

    @app.every("1h")
    async def hourly() -> None:
        seen.append(("hourly", rq.clock.now))

    async with Harness(app, at=AT + timedelta(minutes=10), url=valkey_url) as rq:
        await first.options(delay="10m").enqueue()
        await rq.clock.advance(hours=1)

    minutes = [(name, (at - AT) // timedelta(minutes=1)) for name, at in seen]
    assert minutes == [("first", 20), ("second", 20), ("third", 50), ("hourly", 60)]


async def test_a_snoozed_job_comes_back_at_its_time(app: App, valkey_url: str) -> None:
    @app.task
    async def wait_for_payment() -> None:
        if rq.clock.now < AT + timedelta(hours=3):
            raise Snooze(3600)

    async with Harness(app, at=AT, url=valkey_url) as rq:
        await wait_for_payment.enqueue()
        await rq.clock.advance(hours=4)

    assert told(rq.runs) == [
        ("wait_for_payment", "03-01 12:00:00", "snooze"),
        ("wait_for_payment", "03-01 13:00:00", "snooze"),
        ("wait_for_payment", "03-01 14:00:00", "snooze"),
        ("wait_for_payment", "03-01 15:00:00", "complete"),
    ]


async def test_a_job_that_is_too_late_expires(app: App, valkey_url: str) -> None:
    @app.task(expires="10m")
    async def greet() -> None: ...

    async with Harness(app, at=AT, url=valkey_url) as rq:
        # It becomes ready long after the worker has heard of the pause.
        job = await greet.options(delay="5m").enqueue()
        await app.inspector.pause("default")
        await eventually(lambda: rq._worker._membership.of("default").is_paused)
        await rq.clock.advance(minutes=11)  # what is paused does not keep time from going on
        assert rq.runs == []

        await app.inspector.resume("default")
        await rq.clock.advance()

        assert told(rq.runs) == [("greet", "03-01 12:11:00", "expire")]
        with pytest.raises(JobExpired):
            await job.result(timeout=5)


async def test_a_result_is_gone_when_its_time_is_over(app: App, valkey_url: str) -> None:
    @app.task(result_ttl="1m")
    async def answer() -> int:
        return 42

    async with Harness(app, at=AT, url=valkey_url) as rq:
        job = await answer.options(job_id="a1").enqueue()  # its record stays longer
        await rq.clock.advance(seconds=59)
        assert await job.result(timeout=5) == 42

        await rq.clock.advance(seconds=2)

        with pytest.raises(ResultGone):
            await job.result(timeout=5)


async def test_a_run_that_goes_on_holds_the_next_one_back(app: App, valkey_url: str) -> None:
    @app.every("1h", overlap="queue", missed="all")
    @app.task
    async def sync() -> None:
        if rq.clock.now < AT + timedelta(hours=2):
            raise RetryAfter(5400)

    async with Harness(app, at=AT, url=valkey_url) as rq:
        await rq.clock.advance(hours=3)

    # The tick of two o'clock waits for the run of one o'clock, which succeeds at half past two.
    assert told(rq.runs) == [
        ("sync", "03-01 13:00:00", "retry"),
        ("sync", "03-01 14:30:00", "complete"),
        ("sync", "03-01 14:30:00", "complete"),
        ("sync", "03-01 15:00:00", "complete"),
    ]


def test_blocking_tests_have_the_same_clock(app: App, valkey_url: str) -> None:
    @app.task
    def remind() -> str:
        return "now"

    with Harness(app, at=AT, url=valkey_url) as rq:
        job = remind.options(delay="1h").enqueue_sync()
        rq.clock.advance_sync(minutes=30)
        assert rq.runs == []
        rq.clock.advance_to_sync(AT + timedelta(hours=1))

        assert told(rq.runs) == [("remind", "03-01 13:00:00", "complete")]
        assert job.result_sync(timeout=5) == "now"


async def test_without_a_url_a_server_of_its_own_is_there(app: App) -> None:
    @app.task
    async def ping() -> str:
        return "pong"

    async with Harness(app) as rq:
        job = await ping.enqueue()
        await rq.clock.advance()
        assert await job.result(timeout=5) == "pong"

    assert abs(rq.clock.now.timestamp() * 1000 - now_ms()) < 60_000


async def test_afterwards_the_app_and_the_server_are_as_before(
    app: App, valkey_url: str, namespace: str
) -> None:
    app.use(url=valkey_url, namespace=namespace)

    @app.every("1h")
    async def tick() -> None: ...

    before, connections = app.store, app.connections
    with client(valkey_url) as redis:
        keys = keys_of_tests(redis)
        async with Harness(app, at=AT, url=valkey_url) as rq:
            await rq.clock.advance(hours=2)
            assert len(rq.runs) == 2
            assert keys_of_tests(redis) > keys

        assert keys_of_tests(redis) == keys
    assert (app.store, app.connections, app.observers.all) == (before, connections, [])
    assert now_ms() > AT.timestamp() * 1000
    await app.close()


def keys_of_tests(redis: Redis) -> set[bytes]:
    found: Any = redis.scan_iter("test-*")
    return set(found)


async def test_a_handler_that_waits_for_real_time_is_named(app: App, valkey_url: str) -> None:
    @app.task
    async def stubborn() -> None:
        await asyncio.Event().wait()

    async with Harness(app, at=AT, url=valkey_url, patience=0.2) as rq:
        await stubborn.enqueue()
        with pytest.raises(StillBusy, match="still run: stubborn") as busy:
            await rq.clock.advance(hours=1)

    assert (busy.value.at, busy.value.tasks) == (AT, ["stubborn"])


async def test_a_job_that_is_due_again_at_once_for_ever_is_named(
    app: App, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "_MOST_ROUNDS", 20)

    @app.task
    async def restless() -> None:
        raise Snooze(0)

    async with Harness(app, at=AT, url=valkey_url, patience=0.01) as rq:
        await restless.enqueue()
        with pytest.raises(StillBusy):
            await rq.clock.advance(hours=1)


async def test_there_is_only_one_time(app: App, valkey_url: str) -> None:
    async with Harness(app, at=AT, url=valkey_url) as rq:
        with pytest.raises(ConfigError, match="another Harness is open"):
            async with Harness(App(), url=valkey_url):
                pass
        with pytest.raises(ConfigError, match="goes forward only, not 1 s back"):
            await rq.clock.advance(seconds=-1)
        with pytest.raises(ConfigError, match="not opened by a plain `with`"):
            rq.clock.advance_sync(seconds=1)

        assert rq.clock.now == AT


async def test_a_worker_that_cannot_run_says_why_at_once(app: App, valkey_url: str) -> None:
    @app.task(version=2)
    async def pay() -> None: ...

    with pytest.raises(ConfigError, match="version 1"):
        async with Harness(app, url=valkey_url):
            pass

    assert abs(now_ms() - datetime.now(UTC).timestamp() * 1000) < 60_000


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"at": datetime(2026, 1, 1)}, "at .* must be a datetime with a time zone"),  # noqa: DTZ001 - that is the mistake
        ({"url": "localhost"}, "a Redis URL begins with"),
        ({"queues": ["a b"]}, "queue"),
        ({"patience": 0}, "patience 0 must be"),
    ],
)
def test_bad_arguments_are_named(app: App, argument: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Harness(app, **argument)


async def test_schedules_that_are_paused_or_over_do_not_stop_the_clock(
    app: App, valkey_url: str
) -> None:
    @app.task
    async def report() -> None: ...

    async with Harness(app, at=AT, url=valkey_url) as rq:
        await app.schedules.upsert("over", report.call(), every="1h", end=AT + timedelta(hours=2))
        await app.schedules.upsert("paused", report.call(), every="1h")
        await app.schedules.pause("paused")

        await rq.clock.advance(hours=5)

        assert told(rq.runs) == [
            ("report", "03-01 13:00:00", "complete"),
            ("report", "03-01 14:00:00", "complete"),
        ]
        assert rq.clock.now == AT + timedelta(hours=5)
