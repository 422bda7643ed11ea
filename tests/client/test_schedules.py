"""Schedules at run time: put, looked at, paused, triggered, back-filled, forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rqueue import QueueShare, Sensitive
from rqueue.app import App
from rqueue.errors import (
    ConfigError,
    CorruptKey,
    InvalidArguments,
    PayloadTooLarge,
    QueueFull,
    ScheduleNotFound,
)
from rqueue.schedules.making import scheduled
from rqueue.schedules.putting import upsert
from rqueue.store.keys import queue_keys
from rqueue.task import Task
from tests.support.clients import client
from tests.support.queue_state import QueueState, read_state
from tests.support.servers import only_valkey
from tests.support.waiting import PATIENCE_S
from tests.support.working import burst, working

Pay = Task[[int], int]


@pytest.fixture
def pay(app: App) -> Pay:
    @app.task(queue="bank")
    async def pay(cents: int) -> int:
        return cents

    return pay


class Face:
    """``app.schedules``, or its blocking twin, called in the same way."""

    def __init__(self, app: App, *, blocking: bool) -> None:
        self._schedules: Any = app.schedules_sync if blocking else app.schedules
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._schedules, name)

        async def called(*args: Any, **kwargs: Any) -> Any:
            if self._blocking:
                return await asyncio.to_thread(method, *args, **kwargs)
            return await method(*args, **kwargs)

        return called


@pytest.fixture(params=[False, True], ids=["async", "blocking"])
async def face(app: App, request: pytest.FixtureRequest) -> Any:
    yield Face(app, blocking=request.param)
    app.close_sync()
    await app.close()


async def test_a_schedule_is_put_changed_and_read(face: Face, pay: Pay) -> None:
    rome: dict[str, Any] = {"cron": "30 2 * * *", "tz": "Europe/Rome", "jitter": "5m"}

    assert await face.upsert("nightly", pay.call(7), **rome) == "created"
    assert await face.upsert("nightly", pay.call(7), **rome) == "unchanged"
    assert await face.upsert("nightly", pay.call(8), **rome) == "updated"

    info = await face.get("nightly")
    assert (info.name, info.queue, info.task, info.args) == ("nightly", "bank", "pay", (8,))
    assert (info.cron, info.tz, info.dst, info.every_s) == ("30 2 * * *", "Europe/Rome", "once", 0)
    assert (info.missed, info.overlap, info.jitter_s) == ("latest", "skip", 300)
    assert (info.origin, info.is_paused, info.problem) == ("api", False, "")
    assert (info.last_run, info.last_success, info.last_job) == (None, None, "")
    (first,) = await face.next("nightly", 1)
    assert timedelta(0) <= info.next_run - first < timedelta(minutes=5)
    assert (first.tzinfo, first > datetime.now(UTC)) == (UTC, True)


async def test_another_call_goes_on_where_the_schedule_was_and_other_ticks_begin_anew(
    face: Face, pay: Pay
) -> None:
    await face.upsert("s", pay.call(1), every="1h", start=datetime(2040, 1, 1, tzinfo=UTC))
    first = await face.get("s")
    await face.upsert("s", pay.call(2), every="1h", start=datetime(2040, 1, 1, tzinfo=UTC))
    assert (await face.get("s")).next_run == first.next_run == datetime(2040, 1, 1, tzinfo=UTC)

    await face.upsert("s", pay.call(2), every="2h")

    changed = await face.get("s")
    assert changed.next_run < datetime.now(UTC) + timedelta(hours=2)
    assert changed.created == first.created


async def test_who_is_paused_stays_so_through_a_change_and_goes_on_from_now(
    face: Face, pay: Pay
) -> None:
    await face.upsert("s", pay.call(1), every=60)

    assert [await face.pause("s"), await face.pause("s")] == ["paused", "already"]
    assert (await face.get("s")).next_run is None
    await face.upsert("s", pay.call(2), every=30)
    assert (await face.get("s")).is_paused

    assert [await face.resume("s"), await face.resume("s")] == ["resumed", "already"]
    assert (await face.get("s")).next_run > datetime.now(UTC) - timedelta(seconds=1)


async def test_a_run_beside_all_ticks_is_told_and_its_success_seen(
    app: App, face: Face, pay: Pay
) -> None:
    await face.upsert("s", pay.call(5), cron="0 0 1 1 *")
    await face.pause("s")

    job = await face.trigger("s")
    async with working(app, queues=(QueueShare("bank"),)):
        assert await job.result(PATIENCE_S) == 5

    info = await face.get("s")
    assert info.last_job == job.id
    assert info.last_run <= info.last_success <= datetime.now(UTC) + timedelta(seconds=1)
    (tick,) = await face.history("s")
    assert (tick.said, tick.job_id, tick.since) == ("ran", job.id, None)


async def test_ticks_of_the_past_are_filled_in_once(app: App, face: Face, pay: Pay) -> None:
    await face.upsert("s", pay.call(1), cron="30 2 * * *", tz="Europe/Rome")
    autumn = datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 27, tzinfo=UTC)

    jobs = await face.backfill("s", *autumn)
    again = await face.backfill("s", *autumn)

    ids = [f"s@2026-10-{day}Z" for day in ("24T00:30:00", "25T00:30:00", "26T01:30:00")]
    assert [job.id for job in jobs] == [job.id for job in again] == ids
    (queue,) = await app.inspector.queues("bank")
    assert queue.ready == {"normal": 3}
    await face.upsert("often", pay.call(1), every=1)
    with pytest.raises(ConfigError, match="more than 10,000 ticks"):
        await face.backfill("often", *autumn)
    with pytest.raises(ConfigError, match=r"first .* must be a datetime with a time zone"):
        await face.backfill("s", datetime(2026, 1, 1), autumn[1])  # noqa: DTZ001


async def test_a_back_fill_keeps_to_the_past_and_to_the_bounds_of_its_schedule(
    app: App, face: Face, pay: Pay
) -> None:
    days = [datetime(2026, 10, day, tzinfo=UTC) for day in range(20, 30)]
    await face.upsert("s", pay.call(1), cron="@daily", start=days[2], end=days[4])

    assert await face.past("s", days[0], days[9]) == days[2:5]
    assert len(await face.backfill("s", days[0], days[9])) == 3
    with pytest.raises(ConfigError, match="still to come: a back-fill is of the past"):
        await face.backfill("s", days[0], datetime.now(UTC) + timedelta(days=1))


async def test_the_limits_of_a_filled_in_job_count_from_now(app: App, face: Face, pay: Pay) -> None:
    day = datetime(2026, 10, 24, tzinfo=UTC)
    call = pay.options(expires="1h", deadline="1h").call(5)
    await face.upsert("s", call, cron="@daily")

    (job,) = await face.backfill("s", day, day)
    async with working(app, queues=(QueueShare("bank"),)):
        assert await job.result(PATIENCE_S) == 5


async def test_a_back_fill_that_a_cap_cut_off_says_so_and_is_finished_later(
    app: App, face: Face, pay: Pay
) -> None:
    await face.upsert("s", pay.call(1), cron="@daily")
    autumn = datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)
    await app.inspector.limit("bank", waiting=2)

    with pytest.raises(QueueFull, match="queue 'bank' is full: 2 jobs wait or run"):
        await face.backfill("s", *autumn)

    (queue,) = await app.inspector.queues("bank")
    assert queue.ready == {"normal": 2}
    await app.inspector.limit("bank", waiting=None, payload=1)
    with pytest.raises(PayloadTooLarge, match="the cap of queue 'bank' is 1"):
        await face.backfill("s", *autumn)
    await app.inspector.limit("bank", payload=None)
    assert len(await face.backfill("s", *autumn)) == 3
    (queue,) = await app.inspector.queues("bank")
    assert queue.ready == {"normal": 3}


async def test_what_is_forgotten_is_gone(app: App, face: Face, pay: Pay, url: str) -> None:
    await face.upsert("a", pay.call(1), every=60)
    await face.upsert("b", pay.call(1), every=60)
    assert [one.name for one in await face.list()] == ["a", "b"]

    await face.delete("a")
    await face.delete("b")

    assert await face.list() == []
    for ask in (face.get, face.pause, face.resume, face.trigger, face.delete, face.history):
        with pytest.raises(ScheduleNotFound, match="there is no schedule 'a' in namespace"):
            await ask("a")
    with client(url) as redis:
        assert read_state(redis, queue_keys(app.store.namespace, "bank")) == QueueState()


@only_valkey
async def test_a_schedule_that_moves_to_another_queue_is_in_one_place(app: App, pay: Pay) -> None:
    await app.schedules.upsert("s", pay.call(1), every=3600)
    await app.schedules.pause("s")
    (before,) = await app.schedules.list()

    said = await app.schedules.upsert("s", pay.options(queue="vault").call(1), every=3600)

    (info,) = await app.schedules.list()
    assert (said, info.queue, info.is_paused) == ("updated", "vault", True)
    assert info.next_run == before.next_run
    job = await app.schedules.trigger("s")
    assert job.queue == "vault"
    await app.close()


@only_valkey
async def test_a_move_that_was_cut_off_fires_nowhere_and_is_done_by_the_next_try(
    app: App, pay: Pay
) -> None:
    await app.schedules.upsert("s", pay.call(1), every=3600)
    (before,) = await app.schedules.list()
    transport = app.connections.here().transport
    call = pay.options(queue="vault").call(1)
    schedule = scheduled("s", call, {"every_s": 3600.0})
    flow = upsert(app.store, schedule, "api")
    step: Any = next(flow)
    while True:
        got = await transport.send(step)
        if got == "planned":  # it is stopped where it was, and that was all
            break
        step = flow.send(got)

    (left,) = await app.schedules.list()
    assert (left.queue, left.is_paused) == ("bank", True)
    await app.schedules.upsert("s", call, every=3600)

    (info,) = await app.schedules.list()
    assert (info.queue, info.is_paused, info.origin) == ("vault", False, "api")
    assert info.next_run == before.next_run
    await app.close()


@only_valkey
async def test_what_is_sensitive_is_shown_to_nobody(app: App) -> None:
    @app.task
    async def log_in(user: str, password: Sensitive[str]) -> None: ...

    await app.schedules.upsert("s", log_in.call("ann", "hunter2"), every=60)

    (info,) = await app.schedules.list()
    assert "hunter2" not in f"{info!r} {info.args} {info.kwargs}"
    assert info.args[0] == "ann"
    await burst(app)
    await app.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "give a cron expression or a period"),
        ({"cron": "* * * * *", "every": 5}, "give a cron expression or a period"),
        ({"cron": "61 * * * *"}, "the minute '61' cannot be read"),
        ({"every": "soon"}, "'soon' is no duration"),
        ({"every": True}, "True is no duration"),
        ({"every": 60, "start": datetime(2026, 1, 1)}, "start .* with a time zone"),  # noqa: DTZ001
        ({"every": 60, "zone": "UTC"}, "a schedule has no option 'zone'"),
    ],
)
async def test_what_is_wrong_is_refused_before_anything_is_written(
    valkey_app: App, settings: dict[str, Any], said: str
) -> None:
    @valkey_app.task
    async def tick() -> None: ...

    with pytest.raises(ConfigError, match=said):
        await valkey_app.schedules.upsert("s", tick.call(), **settings)

    assert await valkey_app.schedules.list() == []
    await valkey_app.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delay": 5}, "its call has delay"),
        ({"job_id": "one"}, "its call has job_id"),
        ({"expires": datetime(2040, 1, 1, tzinfo=UTC)}, "expires at one moment for all runs"),
    ],
)
async def test_a_call_with_what_is_of_a_single_job_makes_no_schedule(
    valkey_app: App, options: Any, said: str
) -> None:
    @valkey_app.task
    async def tick() -> None: ...

    with pytest.raises(ConfigError, match=said):
        await valkey_app.schedules.upsert("s", tick.options(**options).call(), every=60)
    await valkey_app.close()


def test_schedules_in_code_are_checked_where_they_are_declared() -> None:
    app = App()

    @app.task
    async def needs(word: str) -> None: ...

    with pytest.raises(InvalidArguments):
        app.every("5m")(needs)
    with pytest.raises(ConfigError, match="the hour '25' cannot be read"):
        app.cron("0 25 * * *")(needs)
    app.every("5m", args=["x"])(needs)
    with pytest.raises(ConfigError, match="two schedules are named 'needs'"):
        app.cron("@daily", args=["x"])(needs)
    assert app.cron("@daily", name="daily", args=["x"])(needs) is needs

    @app.cron("@hourly")
    async def bare() -> None: ...

    assert sorted(app.declared_schedules) == ["bare", "daily", "needs"]
    assert app.tasks.get("bare") is bare


async def test_a_key_of_a_wrong_type_is_told_for_what_it_is(
    app: App, face: Face, pay: Pay, url: str
) -> None:
    await face.upsert("s", pay.call(1), cron="@daily")
    with client(url) as redis:
        redis.set(queue_keys(app.store.namespace, "bank").stream("normal"), "of a wrong type")

    with pytest.raises(CorruptKey, match="a key that schedule 's' needs"):
        await face.trigger("s")
    autumn = datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 27, tzinfo=UTC)
    with pytest.raises(CorruptKey, match="a key that schedule 's' needs"):
        await face.backfill("s", *autumn)

    assert await face.history("s") == []
