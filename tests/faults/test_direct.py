"""Single faults at an exact moment, where chaos would hide one mechanism behind another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis

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


async def test_a_cancel_that_comes_while_a_finish_is_on_its_way_changes_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result came first: it stands. The other way round the cancel would win."""
    real: Any = Finisher._send
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def held(self: Finisher, *args: Any) -> Any:
        answer = await real(self, *args)
        under_way.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr(Finisher, "_send", held)

    @app.task
    async def answer() -> int:
        return 42

    async with working(app):
        job = await answer.enqueue()
        await under_way.wait()
        said = await job.cancel()
        go_on.set()

        assert said == "succeeded"
        assert await job.result(PATIENCE_S) == 42
        assert (await job.info()).reason == ""


async def test_a_finish_that_comes_while_a_cancel_was_asked_for_is_recorded(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Any = Finisher._send
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def held(self: Finisher, *args: Any) -> Any:
        under_way.set()
        await go_on.wait()
        return await real(self, *args)

    monkeypatch.setattr(Finisher, "_send", held)

    @app.task
    async def answer() -> int:
        return 42

    async with working(app):
        job = await answer.enqueue()
        await under_way.wait()
        said = await job.cancel("too late")
        go_on.set()

        assert said == "requested"
        assert await job.result(PATIENCE_S) == 42
        assert (await job.info()).reason == ""
