"""The ticker: ticks of schedules become jobs, once, with every policy; by Redis' clock."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from rqueue import Context, Encrypted
from rqueue.app import App
from rqueue.events import ScheduleTicked
from rqueue.schedules.making import plan_of, scheduled, timed
from rqueue.store.call import Call
from rqueue.store.calls import cron
from rqueue.store.calls.cron import Ran
from rqueue.store.keys import QueueKeys, queue_keys
from rqueue.store.transport import AsyncTransport
from rqueue.worker.ticker import LONGEST_SLEEP_S, Ticker
from tests.support.servers import only_valkey
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import burst, scheduling, working

HOUR = 3_600_000
SECRET = Encrypted({"k1": bytes(range(32))}, current="k1")


@pytest.fixture
def tell(app: App) -> Any:
    @app.task
    async def tell(ctx: Context, word: str = "") -> tuple[str, str]:
        return ctx.headers["rqueue-tick"], word

    return tell


class Clockwork:
    """One schedule of an app, and a ticker of its own, driven round by round."""

    def __init__(self, app: App, task: Any, *args: Any) -> None:
        self.app = app
        self.args = args
        self.task = task
        self.keys: QueueKeys = queue_keys(app.store.namespace, "default")
        self.transport = AsyncTransport(app.store)
        self.ticker = Ticker(self.transport, self.keys, app.store, app.observers)

    async def put(self, back_ms: int, name: str = "s", **settings: Any) -> int:
        """A schedule whose last tick was done so long ago; the current hour, in ms."""
        settings = {"every_s": 3600.0} | settings
        schedule = scheduled(name, self.task.call(*self.args), settings)
        now: int = await self.transport.send(cron.time_ms())
        plan = timed(plan_of(schedule, "api", self.app.store.protection), schedule, now - back_ms)
        assert await self.transport.send(cron.plan(self.keys, plan, seen=None, is_timed=True))
        return now // HOUR * HOUR

    async def history(self, name: str = "s") -> list[Ran]:
        return await self.transport.send(cron.history(self.keys, name))

    async def round(self) -> float:
        """Rounds until nothing is due; seconds until the next."""
        while (pause := await self.ticker.run_once()) == 0:
            pass
        return pause


@pytest.fixture
async def clock(app: App, tell: Any) -> Any:
    clock = Clockwork(app, tell, "word")
    yield clock
    await clock.transport.close()
    await app.close()


async def test_a_tick_that_is_due_becomes_a_job_that_knows_it(clock: Clockwork) -> None:
    ears = Ears(clock.app)
    hour = await clock.put(HOUR)

    assert 0 < await clock.round() <= LONGEST_SLEEP_S

    (ran,) = await clock.history()
    assert (ran.tick_ms, ran.said, ran.since_ms) == (hour, "ran", 0)
    (event,) = ears.of(ScheduleTicked)
    assert (event.schedule, event.tick_ms, event.at_ms, event.said) == ("s", hour, ran.at_ms, "ran")
    await burst(clock.app)
    assert await clock.app.job(ran.job_id).result(PATIENCE_S) == [str(hour), "word"]


async def test_ticks_that_were_missed_follow_their_policy(clock: Clockwork) -> None:
    hour = await clock.put(5 * HOUR, "latest")
    await clock.put(5 * HOUR, "all", missed="all", overlap="allow")
    await clock.put(5 * HOUR, "capped", missed="all", missed_cap=2, overlap="allow")
    await clock.put(5 * HOUR, "skip", missed="skip")

    await clock.round()

    told = {
        name: [(one.tick_ms - hour, one.said) for one in reversed(await clock.history(name))]
        for name in ("latest", "all", "capped", "skip")
    }
    each = [(-n * HOUR, "ran") for n in (4, 3, 2, 1, 0)]
    is_new = told["skip"][-1][1] == "ran"  # if the hour has just struck
    assert told == {
        "latest": [(0, "ran")],
        "all": each,
        "capped": each[3:],
        "skip": [(0, "ran" if is_new else "passed")],
    }
    assert (await clock.history("latest"))[0].since_ms == hour - 4 * HOUR


async def test_any_number_of_tickers_does_each_tick_once(clock: Clockwork) -> None:
    hour = await clock.put(50 * HOUR, missed="all", overlap="allow")
    others = [Clockwork(clock.app, clock.task, "word") for _ in range(3)]

    await asyncio.gather(*(one.round() for one in (clock, *others)))

    ticks = [one.tick_ms for one in reversed(await clock.history())]
    assert ticks == [hour - n * HOUR for n in reversed(range(50))]
    jobs = await burst(clock.app), [one.job_id for one in await clock.history()]
    assert len(set(jobs[1])) == 50
    (queue,) = await clock.app.inspector.queues("default")
    assert (queue.counters["enqueue"], queue.counters["complete"]) == (50, 50)
    for one in others:
        await one.transport.close()


async def test_a_run_that_goes_on_holds_the_next_back_until_it_ends(clock: Clockwork) -> None:
    hour = await clock.put(2 * HOUR, missed="all", overlap="queue")

    await clock.round()
    assert [one.tick_ms for one in await clock.history()] == [hour - HOUR]
    assert await clock.round() == 1.0  # it looks again, whoever may wake it

    await burst(clock.app)
    await clock.round()
    assert [one.tick_ms for one in await clock.history()] == [hour, hour - HOUR]


@only_valkey
async def test_the_end_of_a_run_wakes_the_scheduler_that_holds_the_next(app: App) -> None:
    ended = asyncio.Event()

    @app.task
    async def slow() -> None:
        await ended.wait()

    clock = Clockwork(app, slow)
    await clock.put(2 * HOUR, missed="all", overlap="queue")
    await app.connections.announce("default")
    async with working(app), scheduling(app):
        await eventually(lambda: _has(clock, 1))
        ended.set()
        await eventually(lambda: _has(clock, 2))
    await clock.transport.close()
    await app.close()


async def _has(clock: Clockwork, count: int) -> bool:
    return len(await clock.history()) == count


async def test_a_run_that_goes_on_is_cancelled_for_the_next(clock: Clockwork) -> None:
    await clock.put(2 * HOUR, missed="all", overlap="cancel_running")

    await clock.round()

    second, first = await clock.history()
    assert (await clock.app.job(first.job_id).info()).state == "cancelled"
    assert (await clock.app.job(second.job_id).info()).state == "queued"


async def test_the_run_before_lets_go_of_its_unique_key_before_the_next_is_made(
    app: App, clock: Clockwork
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    @app.task
    async def slow() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()

    clock.task, clock.args = slow.options(unique="key"), ()
    await clock.put(2 * HOUR, missed="all", overlap="cancel_running")
    async with working(app):
        await clock.ticker.run_once()
        await begun.wait()
        begun.clear()
        await clock.round()
        assert [one.said for one in await clock.history()] == ["ran"]  # it holds the key still
        may_end.set()
        (first,) = await clock.history()
        job = clock.app.job(first.job_id)
        await eventually(lambda: _has_ended(job))
        await clock.round()

        second, first = await clock.history()
        assert (await job.info()).state == "cancelled"
        assert (second.said, first.said) == ("ran", "ran")


async def _has_ended(job: Any) -> bool:
    return (await job.info()).finished_at is not None


async def test_what_cannot_be_read_is_left_and_the_others_tick(
    clock: Clockwork, caplog: pytest.LogCaptureFixture
) -> None:
    await clock.put(HOUR, "broken")
    await clock.put(HOUR, "well")
    plan = clock.keys.plan("broken")
    await clock.transport.send(Call(("HSET",), (plan,), ("d", b"nonsense"), int))

    await clock.round()

    assert (await clock.history("broken"), len(await clock.history("well"))) == ([], 1)
    assert "schedule broken of queue default cannot be read and does not fire" in caplog.text


@only_valkey
async def test_calls_of_schedules_are_protected_and_run(app: App, tell: Any) -> None:
    app.store = msgspec.structs.replace(app.store, protection=SECRET)
    clock = Clockwork(app, tell, "word")
    hour = await clock.put(HOUR)

    await clock.round()

    plan = await clock.transport.send(cron.read(clock.keys, "s"))
    assert plan is not None
    assert b"word" not in plan.definition
    await burst(app)
    (ran,) = await clock.history()
    assert await app.job(ran.job_id).result(PATIENCE_S) == [str(hour), "word"]
    await clock.transport.close()
    await app.close()


@only_valkey
async def test_a_schedule_that_somebody_without_keys_has_put_does_not_fire(
    app: App, tell: Any, caplog: pytest.LogCaptureFixture
) -> None:
    plain = Clockwork(app, tell, "word")
    await plain.put(HOUR)
    app.store = msgspec.structs.replace(app.store, protection=SECRET)
    clock = Clockwork(app, tell, "word")

    await clock.round()

    assert await clock.history() == []
    assert "cannot be read and does not fire" in caplog.text
    for one in (plain, clock):
        await one.transport.close()
    await app.close()


@only_valkey
async def test_an_expiring_call_expires_after_its_tick(app: App) -> None:
    @app.task(expires=60)
    async def soon() -> None: ...

    clock = Clockwork(app, soon)
    await clock.put(2 * HOUR)

    await clock.round()
    await burst(app)

    (ran,) = await clock.history()
    is_late = ran.at_ms > ran.tick_ms + 60_000
    state = (await app.job(ran.job_id).info()).state
    assert state == ("expired" if is_late else "succeeded")
    await clock.transport.close()
    await app.close()


async def test_a_schedule_that_is_put_wakes_the_scheduler(app: App, tell: Any) -> None:
    ears = Ears(app)
    await tell.enqueue()
    async with scheduling(app):
        await app.schedules.upsert("s", tell.call(), every=1)
        first, second = (await ears.hears(ScheduleTicked, 2))[:2]

    assert (second.tick_ms - first.tick_ms, first.tick_ms % 1000) == (1000, 0)
    assert 0 <= second.at_ms - second.tick_ms < 1500
    await app.close()
