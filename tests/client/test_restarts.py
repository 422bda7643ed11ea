"""Redis is killed and comes back while somebody waits: the wait goes on and hears the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.client.listener import REREAD_S
from rqueue.store.keys import QueueKeys
from tests.support.proxy import Proxy
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


def listeners(url: str, channel: str) -> int:
    with Redis.from_url(url, protocol=2) as client:
        return client.pubsub_numsub(channel)[0][1]


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_wait_outlives_its_redis(
    app: App, durable: Server, namespace: str, blocking: bool
) -> None:
    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    def waiters() -> dict[str, str]:
        with Redis.from_url(durable.url, protocol=2) as client:
            return read_state(client, QueueKeys(namespace, "default")).waiters

    job = await add.enqueue(1, 2)
    wait = asyncio.to_thread(job.result_sync, PATIENCE_S) if blocking else job.result(PATIENCE_S)
    waiting = asyncio.create_task(wait)
    ((_, channel),) = (await eventually(waiters)).items()

    durable.kill()
    durable.restart()

    # It listens again, on the channel under which it is known, before there is a result to find.
    await eventually(lambda: listeners(durable.url, channel))
    began = time.monotonic()
    async with working(app):
        assert await waiting == 3
    assert time.monotonic() - began < REREAD_S / 2
    assert waiters() == {}


async def test_a_blocking_wait_finds_what_was_written_while_it_was_cut_off(
    app: App, durable: Server, namespace: str
) -> None:
    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    keys = QueueKeys(namespace, "default")
    job = await add.enqueue(1, 2)
    with Proxy(durable.url) as proxy:
        far = App(proxy.url, namespace=namespace)
        waiting = asyncio.create_task(asyncio.to_thread(far.job(job.id).result_sync, PATIENCE_S))
        with Redis.from_url(durable.url, protocol=2) as client:
            await eventually(lambda: read_state(client, keys).waiters)
        proxy.cut()
        durable.kill()
        durable.restart()
        async with working(app):
            assert await job.result(PATIENCE_S) == 3
        proxy.mend()

        assert await waiting == 3
        await far.close()
        far.close_sync()
