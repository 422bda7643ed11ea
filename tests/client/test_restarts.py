"""Redis is killed and comes back while somebody waits: the wait goes on and hears the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.client.listener import REREAD_S
from rqueue.store.keys import QueueKeys
from rqueue.store.subscription import BlockingListener
from rqueue.task import Task
from tests.support.queue_state import read_state
from tests.support.servers import FLAVOURS, Server
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import working

pytestmark = pytest.mark.fault


@pytest.fixture(params=FLAVOURS)
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with Server(request.param, data_dir=tmp_path, appendfsync="always") as server:
        yield server


@pytest.fixture
async def app(durable: Server, namespace: str) -> AsyncIterator[App]:
    app = App(durable.url, namespace=namespace)
    yield app
    await app.close()


def add_to(app: App) -> Task[[int, int], int]:
    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    return add


def waiters(app: App) -> dict[str, str]:
    """Who waits for which job, and where it listens."""
    with Redis.from_url(app.store.url, protocol=2) as client:
        return read_state(client, QueueKeys(app.store.namespace, "default")).waiters


def is_heard(app: App, channel: str) -> bool:
    with Redis.from_url(app.store.url, protocol=2) as client:
        return client.pubsub_numsub(channel)[0][1] == 1


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_wait_outlives_its_redis(app: App, durable: Server, blocking: bool) -> None:
    job = await add_to(app).enqueue(1, 2)
    wait = asyncio.to_thread(job.result_sync, PATIENCE_S) if blocking else job.result(PATIENCE_S)
    waiting = asyncio.create_task(wait)
    (channel,) = (await eventually(lambda: waiters(app))).values()

    durable.kill()
    durable.restart()

    # It listens again, where Redis still knows it, before there is a result to find.
    await eventually(lambda: is_heard(app, channel))
    began = time.monotonic()
    async with working(app):
        assert await waiting == 3
    assert time.monotonic() - began < REREAD_S / 2
    assert waiters(app) == {}


class Gate:
    """Holds up whoever wants to listen again, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._is_wanted, self._is_open = threading.Event(), threading.Event()
        connect = BlockingListener._connect

        def held_up(ear: BlockingListener) -> None:
            self._is_wanted.set()
            assert self._is_open.wait(PATIENCE_S)
            connect(ear)

        monkeypatch.setattr(BlockingListener, "_connect", held_up)

    async def wanted(self) -> None:
        assert await asyncio.to_thread(self._is_wanted.wait, PATIENCE_S)

    def open(self) -> None:
        self._is_open.set()


async def test_a_blocking_wait_finds_what_was_written_before_it_listened_again(
    app: App, durable: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await add_to(app).enqueue(1, 2)
    waiting = asyncio.create_task(asyncio.to_thread(job.result_sync, PATIENCE_S))
    await eventually(lambda: waiters(app))
    gate = Gate(monkeypatch)
    durable.kill()
    durable.restart()
    await gate.wanted()

    async with working(app):
        assert await job.result(PATIENCE_S) == 3
    began = time.monotonic()
    gate.open()

    assert await waiting == 3
    assert time.monotonic() - began < REREAD_S / 2
