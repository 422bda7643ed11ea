"""Single faults at an exact moment, where chaos would hide one mechanism behind another."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rqueue import Worker, WorkerConfig
from rqueue.app import App
from rqueue.config import LeaseConfig
from rqueue.events import JobStarted, Observers
from rqueue.store.calls import leases
from rqueue.store.keys import queue_keys
from rqueue.store.transport import Transport
from rqueue.worker import reaper as reapers
from rqueue.worker.finisher import Finisher
from rqueue.worker.heartbeat import Heartbeat
from rqueue.worker.reaper import Reaper
from tests.support.processes import fleet_of
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import working

pytestmark = pytest.mark.fault


def test_a_look_before_the_renewals_after_an_outage_condemns_nobody(
    app: App, namespace: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reaper's clock is set, so that its looks stand where an outage puts them."""
    now = 1000.0
    monkeypatch.setattr(reapers, "monotonic", lambda: now)
    keys, transport = queue_keys(namespace, "default"), Transport(app.store)
    transport.send(leases.register(keys, "healthy", 1))
    reaper = Reaper(transport, keys, LeaseConfig(lease_s=15), Observers())
    reaper.look()

    now += 60  # nobody could renew, nobody could look
    reaper.look()
    now += 5
    transport.send(leases.renew(keys, "healthy", 2))
    reaper.look()
    now += 5
    reaper.look()

    assert redis.zscore(keys.leases, "healthy") == 2
    transport.close()


async def test_a_worker_that_could_not_renew_begins_nothing_before_it_has(
    app: App, namespace: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zombie that wakes up holds what its read had brought, and a lease that may be gone."""
    ears = Ears(app)

    @app.task
    async def answer() -> int:
        return 42

    keys = queue_keys(namespace, "default")
    renew = Heartbeat._renew_all
    monkeypatch.setattr(Heartbeat, "_renew_all", lambda _self: True)
    async with working(app, lease=LeaseConfig(lease_s=0.3)) as worker:
        (lease,) = worker._membership
        await eventually(lambda: not lease.may_start())
        job = await answer.enqueue()
        await eventually(lambda: lease.changed._waiters or ears.of(JobStarted))  # pyright: ignore[reportAttributeAccessIssue]
        pending: Any = redis.xpending(keys.stream("normal"), "workers")
        assert (pending["pending"], ears.of(JobStarted)) == (1, [])
        monkeypatch.setattr(Heartbeat, "_renew_all", renew)

        assert await job.result(PATIENCE_S) == 42


class HeldFinish:
    """The finisher's trips, held up before or after they are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_made_first = False
        self.under_way, self.go_on = asyncio.Event(), asyncio.Event()
        real: Any = Finisher._send

        async def send(finisher: Finisher, *args: Any) -> Any:
            made = await real(finisher, *args) if self.is_made_first else None
            self.under_way.set()
            await self.go_on.wait()
            return made if self.is_made_first else await real(finisher, *args)

        monkeypatch.setattr(Finisher, "_send", send)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldFinish:
    return HeldFinish(monkeypatch)


@pytest.mark.parametrize(("is_made_first", "said"), [(True, "succeeded"), (False, "requested")])
async def test_a_cancel_that_meets_a_finish_on_its_way_takes_no_result_away(
    app: App, held: HeldFinish, is_made_first: bool, said: str
) -> None:
    held.is_made_first = is_made_first

    @app.task
    async def answer() -> int:
        return 42

    async with working(app):
        job = await answer.enqueue()
        await held.under_way.wait()
        assert await job.cancel("too late") == said
        held.go_on.set()

        assert await job.result(PATIENCE_S) == 42
        assert (await job.info()).reason == ""


def freeze(server: Server) -> None:
    os.kill(server.pid, signal.SIGSTOP)


@pytest.mark.parametrize("fault", [Server.kill, freeze])
async def test_a_worker_that_is_told_to_end_without_redis_ends_soon_after_its_grace(
    namespace: str,
    tmp_path: Path,
    fault: Callable[[Server], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renewing, renew = threading.Event(), Heartbeat._renew_all

    def told(heartbeat: Heartbeat) -> bool:
        renewing.set()
        return renew(heartbeat)

    monkeypatch.setattr(Heartbeat, "_renew_all", told)
    with Server(data_dir=tmp_path) as server:
        app = App(server.url, namespace=namespace)
        inside = asyncio.Event()

        @app.task
        async def hold() -> None:
            inside.set()
            await asyncio.Event().wait()

        worker = Worker(app, WorkerConfig(grace_s=0.5))
        running = asyncio.create_task(worker.run())
        await hold.enqueue()
        await inside.wait()
        fault(server)
        renewing.clear()
        await eventually(renewing.is_set)  # and waits for an answer

        worker.stop()
        async with asyncio.timeout(0.5 + 5):
            assert await running is False
        await app.close()


async def test_the_child_of_a_killed_worker_ends_with_it(
    url: str, namespace: str, tmp_path: Path
) -> None:
    """It would go on with a job that runs elsewhere, and nobody would end it in time."""
    log = tmp_path / "log"
    log.touch()
    with fleet_of(url, namespace) as fleet:
        worker = fleet.start().ready()
        app = App(url, namespace=namespace)
        await app.remote("hold_in_process").enqueue(str(log), "job")
        await eventually(log.read_text)
        child = int(log.read_text().split()[1])
        assert child != worker.pid
        ended = os.pidfd_open(child)

        worker.signal(signal.SIGKILL)

        seen, _, _ = await asyncio.to_thread(select.select, [ended], [], [], PATIENCE_S)
        assert seen == [ended]
        os.close(ended)
        await app.close()
