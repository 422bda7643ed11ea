"""Whether a worker is well, as an orchestrator asks."""

from __future__ import annotations

import asyncio

import pytest

from rqueue import App, LeaseConfig, Scheduler, Worker, WorkerConfig
from rqueue.worker import health as healths
from rqueue.worker import pulse as pulses
from rqueue.worker.health import Health, SchedulerHealth
from rqueue.worker.joining import Joining
from rqueue.worker.pulse import LOOP, REAPER, Pulse
from rqueue.worker.stopping import Stops
from tests.support.servers import Server
from tests.support.waiting import eventually
from tests.support.working import scheduling, working


def said(worker: Worker | Scheduler) -> tuple[str, str, str]:
    health = worker.health
    return health.live(), health.started(), health.ready()


async def test_a_worker_is_started_and_ready_from_its_joining_until_it_is_told_to_stop(
    app: App,
) -> None:
    go = asyncio.Event()

    @app.task
    async def held() -> None:
        await go.wait()

    worker = Worker(app, WorkerConfig())
    assert said(worker) == (
        "",
        "its resources are not open yet",
        "it has not joined its queues yet",
    )

    running = asyncio.create_task(worker.run())
    await worker.ready.wait()
    await eventually(lambda: said(worker) == ("", "", ""))
    await held.enqueue()
    await eventually(lambda: worker.in_hand == 1)
    worker.stop()
    assert said(worker) == ("", "", "it was told to stop, and takes no more jobs")

    go.set()
    assert await running


async def test_without_redis_it_lives_and_is_not_ready_and_is_so_again() -> None:
    with Server("valkey9", tcp=True) as server:
        app = App(server.url)
        async with working(app, lease=LeaseConfig(lease_s=1)) as worker:
            await eventually(lambda: said(worker) == ("", "", ""))
            server.kill()
            await eventually(lambda: worker.health.ready() != "")
            live, started, ready = said(worker)

            server.restart()
            await eventually(lambda: said(worker) == ("", "", ""))
        await app.close()

    assert (live, started) == ("", "")
    assert ready.startswith("Redis has not answered for ")


async def test_a_worker_with_all_slots_taken_is_ready(app: App) -> None:
    go = asyncio.Event()

    @app.task
    async def held() -> None:
        await go.wait()

    async with working(app, concurrency=1, lease=LeaseConfig(lease_s=0.5)) as worker:
        await held.enqueue()
        await eventually(lambda: worker.in_hand == 1)
        began = worker._pulse.answer_age("fetch")
        await eventually(lambda: worker._pulse.answer_age("fetch") > began + 1)
        assert said(worker) == ("", "", "")
        go.set()


async def nothing() -> None: ...


def test_a_loop_that_does_not_turn_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse()
    joining = Joining(WorkerConfig(), nothing, nothing, Stops(0.0))
    health = Health(pulse, asyncio.Event(), joining, lambda: "working", lambda: False, 15.0)
    pulse.beat(LOOP)
    assert health.live() == ""

    monkeypatch.setattr(healths, "_LOOP_S", -1.0)

    assert health.live().startswith("the event loop has not turned for ")


async def test_a_scheduler_is_started_and_ready_until_it_is_told_to_stop(app: App) -> None:
    scheduler = Scheduler(app)
    assert said(scheduler) == ("", "it does not run yet", "it does not serve its queues yet")

    running = asyncio.create_task(scheduler.run())
    await scheduler.ready.wait()
    await eventually(lambda: said(scheduler) == ("", "", ""))
    scheduler.stop()
    assert said(scheduler) == ("", "", "it was told to stop")
    await running


async def test_a_scheduler_without_redis_lives_and_is_not_ready_and_is_so_again() -> None:
    with Server("valkey9", tcp=True) as server:
        app = App(server.url)
        await app.remote("work").enqueue()
        async with scheduling(app, lease=LeaseConfig(lease_s=1)) as scheduler:
            await eventually(lambda: said(scheduler) == ("", "", ""))
            server.kill()
            await eventually(lambda: scheduler.health.ready() != "")
            live, started, ready = said(scheduler)

            server.restart()
            await eventually(lambda: said(scheduler) == ("", "", ""))
        await app.close()

    assert (live, started) == ("", "")
    assert ready.startswith("Redis has not answered for ")


@pytest.mark.parametrize("part", [LOOP, REAPER])
def test_a_scheduler_of_which_a_part_hangs_is_not_alive(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    pulse, now = Pulse(), 1000.0
    monkeypatch.setattr(pulses, "monotonic", lambda: now)
    health = SchedulerHealth(pulse, lambda: True, asyncio.Event(), lambda: False, patience_s=5)
    pulse.beat(LOOP)
    pulse.beat(REAPER)
    now += 31
    pulse.beat(LOOP if part == REAPER else REAPER)

    assert health.live() == f"the {part} has not turned for 31 s"
