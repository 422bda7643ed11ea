"""One app in several threads, event loops and forked processes."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.errors import ConfigError
from rqueue.task import Task
from tests.support.clients import client
from tests.support.servers import only_valkey


@pytest.fixture
def app(valkey_url: str, namespace: str) -> Iterator[App]:
    app = App(valkey_url, namespace=namespace)
    yield app
    app.close_sync()


@pytest.fixture
def count(app: App) -> Task[[int], None]:
    @app.task
    async def count(n: int) -> None:
        """Never run."""

    return count


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    with client(valkey_url) as redis:
        yield redis


def jobs(redis: Redis, namespace: str) -> Any:
    return redis.xlen(f"{namespace}:{{default}}:stream:normal")


def test_a_forked_child_makes_connections_of_its_own(
    count: Any, redis: Redis, namespace: str
) -> None:
    count.enqueue_sync(0)
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                for n in range(25):
                    count.options(job_id=f"{child}-{n}").enqueue_sync(n)
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(pid)
        for n in range(25):
            count.options(job_id=f"parent-{child}-{n}").enqueue_sync(n)

    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    assert jobs(redis, namespace) == 201


def test_threads_share_one_app(count: Any, redis: Redis, namespace: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(count.enqueue_sync, range(500)))

    assert len({job.id for job in made}) == jobs(redis, namespace) == 500


def test_more_threads_than_connections_wait_for_one(
    count: Any, redis: Redis, namespace: str
) -> None:
    together = threading.Barrier(64)

    def enqueue(n: int) -> str:
        together.wait(20)
        return count.enqueue_sync(n).status

    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(enqueue, range(64))) == {"accepted"}


def test_each_event_loop_has_connections_of_its_own(
    app: App, count: Any, redis: Redis, namespace: str
) -> None:
    async def enqueue() -> str:
        job = await count.enqueue(1)
        await app.close()
        return job.status

    assert [asyncio.run(enqueue()) for _ in range(3)] == ["accepted"] * 3
    gc.collect()
    assert jobs(redis, namespace) == 3


def test_blocking_and_async_code_may_be_mixed_in_one_process(
    app: App, count: Any, redis: Redis, namespace: str
) -> None:
    async def both() -> None:
        await count.enqueue(1)
        await asyncio.to_thread(count.enqueue_sync, 2)
        count.enqueue_sync(3)
        await app.close()

    count.enqueue_sync(0)
    asyncio.run(both())

    assert jobs(redis, namespace) == 4


@only_valkey
async def test_an_app_may_be_pointed_elsewhere_before_its_first_job(
    url: str, namespace: str
) -> None:
    app = App("redis://nowhere.invalid")
    app.use(url=url, namespace=namespace)

    assert (await app.send("x")).status == "accepted"
    with pytest.raises(ConfigError, match="connected already"):
        app.use(namespace="other")
    await app.close()


def test_an_app_that_was_closed_connects_again(app: App, count: Any) -> None:
    count.enqueue_sync(1)
    app.close_sync()

    assert count.enqueue_sync(2).status == "accepted"
