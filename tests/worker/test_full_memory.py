"""Redis is out of memory: no new job is taken, but workers come, run the backlog, and go."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.errors import StoreFull
from rqueue.store.keys import QueueKeys
from tests.support.queue_state import read_state
from tests.support.servers import FLAVOURS, Server
from tests.support.working import burst


@pytest.fixture(scope="module", params=FLAVOURS)
def cramped(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as server:
        yield server


@pytest.fixture
def redis(cramped: Server) -> Iterator[Redis]:
    with Redis.from_url(cramped.url, protocol=2) as client:
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
async def app(cramped: Server, namespace: str) -> AsyncIterator[App]:
    app = App(cramped.url, namespace=namespace)
    yield app
    await app.close()


async def test_a_worker_that_starts_without_memory_runs_the_backlog_to_its_end(
    app: App, redis: Redis, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task
    async def double(n: int) -> int:
        return 2 * n

    @app.task
    def double_in_thread(n: int) -> int:
        return 2 * n

    tasks: list[Any] = [double, double_in_thread]
    jobs = await app.enqueue_many(task.call(n) for n in range(20) for task in tasks)
    redis.config_set("maxmemory", 1)
    with pytest.raises(StoreFull):
        await double.enqueue(99)

    assert await burst(app) is True

    assert [await job.result(0) for job in jobs] == [2 * n for n in range(20) for _ in tasks]
    state = read_state(redis, QueueKeys(namespace, "default"))
    assert (state.lanes, state.leases, state.waiters, state.strange) == ({}, {}, {}, {})
    assert {record["state"] for record in state.records.values()} == {"succeeded"}
    assert len(state.records) == len(jobs)
    # It is in no registry and keeps no history, says so, and nothing else goes wrong.
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert [line.partition(": ")[0] for line in said] == [
        "not in the registry",
        "not in the registry",
        "the history misses what this worker counted last",
    ]
