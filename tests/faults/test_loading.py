"""A server that loads its data refuses everything for a while: that is waited for, or told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.config import StoreConfig
from rqueue.errors import StoreUnavailable
from rqueue.store.call import Call
from rqueue.store.transport import AsyncTransport, Transport
from tests.support.loading import KEYS, SLOW, fill, loading
from tests.support.servers import FLAVOURS, Server

pytestmark = pytest.mark.fault

both_ways = pytest.mark.parametrize("blocking", [True, False])


@pytest.fixture(params=FLAVOURS)
def slow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with Server(request.param, data_dir=tmp_path, config=SLOW) as server:
        with Redis.from_url(server.url) as redis:
            fill(redis)
        yield server


async def size(server: Server, *, blocking: bool, retry_s: float, repeatable: bool = True) -> int:
    config = StoreConfig(url=server.url, retry_s=retry_s)
    call: Call[int] = Call(("DBSIZE",), (), (), int, repeatable=repeatable)
    if blocking:
        return await asyncio.to_thread(Transport(config).send, call)
    transport = AsyncTransport(config)
    try:
        return await transport.send(call)
    finally:
        await transport.close()


@both_ways
async def test_what_is_safe_to_repeat_is_repeated_until_it_has_loaded_and_the_rest_is_told(
    slow: Server, blocking: bool
) -> None:
    app = App(slow.url)
    with loading(slow):
        for retry_s, repeatable in ((30, False), (0, True)):
            with pytest.raises(StoreUnavailable, match="is loading the dataset in memory"):
                await size(slow, blocking=blocking, retry_s=retry_s, repeatable=repeatable)
        task = app.remote("x").options(job_id="mine")
        job = await (asyncio.to_thread(task.enqueue_sync) if blocking else task.enqueue())

    assert job.status == "accepted"
    (queue,) = await app.inspector.queues()
    assert queue.ready == {"normal": 1}
    assert await size(slow, blocking=blocking, retry_s=0) > KEYS
    await app.close()
