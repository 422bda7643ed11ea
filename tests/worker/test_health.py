"""Whether a worker is well, as an orchestrator asks."""

from __future__ import annotations

import asyncio

import pytest

from rqueue import App, LeaseConfig, Worker, WorkerConfig
from rqueue.worker import health as healths
from rqueue.worker.health import Health
from rqueue.worker.pulse import LOOP, Pulse
from tests.support.servers import Server
from tests.support.waiting import eventually
from tests.support.working import working


def said(worker: Worker) -> tuple[str, str, str]:
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
    not_yet = "it has not joined its queues yet"
    assert said(worker) == ("", not_yet, not_yet)

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


def test_a_loop_that_does_not_turn_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse()
    health = Health(pulse, asyncio.Event(), lambda: "working", lambda: False, 15.0)
    pulse.beat(LOOP)
    assert health.live() == ""

    monkeypatch.setattr(healths, "_LOOP_S", -1.0)

    assert health.live().startswith("the event loop has not turned for ")
