"""A network that loses answers makes no second job, and no wait that never ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from redis import Redis
from redis.asyncio.connection import AbstractConnection as Connection

from rqueue.app import App
from rqueue.client.listener import REREAD_S
from rqueue.config import StoreConfig, shown
from rqueue.errors import StoreError, StoreUnavailable
from rqueue.store.call import Call
from rqueue.store.connection import pauses
from rqueue.store.keys import QueueKeys
from rqueue.store.scripts import AWAIT, ENQUEUE
from rqueue.store.transport import AsyncTransport, Transport
from tests.support.proxy import Proxy
from tests.support.queue_state import read_state
from tests.support.servers import only_valkey
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import working

SHA = ENQUEUE.sha.encode()


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with Proxy(url) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: Proxy, namespace: str) -> App:
    """An app that reaches its server through the proxy, and the script is loaded."""
    app = App(proxy.url, namespace=namespace)

    @app.task
    async def add(a: int) -> int:
        return a

    await add.options(queue="warm").enqueue(0)
    return app


async def test_a_lost_answer_to_an_enqueue_makes_one_job(
    far: App, proxy: Proxy, redis: Redis, namespace: str
) -> None:
    proxy.lose_answer_to(SHA)

    job = await far.tasks.get("add").enqueue(1)

    assert (proxy.lost, job.status) == (1, "accepted")
    assert redis.xlen(f"{namespace}:{{default}}:stream:normal") == 1
    await far.close()


def test_a_lost_answer_to_a_blocking_enqueue_makes_one_job(
    proxy: Proxy, redis: Redis, namespace: str
) -> None:
    app = App(proxy.url, namespace=namespace)
    app.remote("add", queue="warm").enqueue_sync(0)
    proxy.lose_answer_to(SHA)

    job = app.send_sync("add", 1)

    assert (proxy.lost, job.status) == (1, "accepted")
    assert redis.xlen(f"{namespace}:{{default}}:stream:normal") == 1
    app.close_sync()


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_producer_that_is_told_of_a_lost_answer_may_send_the_same_call_again(
    far: App,
    proxy: Proxy,
    redis: Redis,
    namespace: str,
    blocking: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where rqueue does not ask again by itself, for its time is over."""
    monkeypatch.setattr("rqueue.store.transport.pauses", lambda *_: iter(()))
    call = far.tasks.get("add").call(1)
    far.enqueue_sync(far.tasks.get("add").options(queue="warm").call(0))
    proxy.lose_answer_to(SHA)

    with pytest.raises(StoreUnavailable, match="Whether the command ran is unknown") as told:
        far.enqueue_sync(call) if blocking else await far.enqueue(call)
    again = far.enqueue_sync(call) if blocking else await far.enqueue(call)

    assert (proxy.lost, told.value.job_ids) == (1, (again.id,))
    assert (again.id, again.status) == (call.job_id, "duplicate")
    assert redis.xlen(f"{namespace}:{{default}}:stream:normal") == 1
    far.close_sync()
    await far.close()


async def test_who_shared_a_lost_trip_is_told_of_its_own_job(
    far: App, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.store.transport.pauses", lambda *_: iter(()))
    add = far.tasks.get("add")
    await add.enqueue(0)
    proxy.lose_answer_to(SHA)

    told = await asyncio.gather(
        *(add.options(job_id=name).enqueue(1) for name in "abc"), return_exceptions=True
    )

    assert [getattr(one, "job_ids", one) for one in told] == [("a",), ("b",), ("c",)]
    await far.close()


async def test_lost_answers_to_many_jobs_make_each_of_them_once(
    far: App, proxy: Proxy, redis: Redis, namespace: str
) -> None:
    proxy.lose_answer_to(SHA)
    add = far.tasks.get("add")

    jobs = await far.enqueue_many([add.call(n) for n in range(600)])

    assert proxy.lost == 1
    assert {job.status for job in jobs} == {"accepted"}
    assert redis.xlen(f"{namespace}:{{default}}:stream:normal") == 600
    await far.close()


async def test_a_lost_answer_to_a_scheduled_unique_job_makes_one_job(
    far: App, proxy: Proxy, redis: Redis, namespace: str
) -> None:
    proxy.lose_answer_to(SHA)

    job = await far.tasks.get("add").options(delay=60, unique="u").enqueue(1)

    state = read_state(redis, QueueKeys(namespace, "default"))
    assert (job.status, len(state.schedule), len(state.unique)) == ("accepted", 1, 1)
    await far.close()


async def test_a_lost_answer_to_a_wait_is_asked_for_again(far: App, proxy: Proxy) -> None:
    job = await far.tasks.get("add").enqueue(5)
    await far.tasks.get("add").options(queue="other", job_id="x").enqueue(1)
    async with working(far):
        assert await job.result(PATIENCE_S) == 5
        proxy.lose_answer_to(AWAIT.sha.encode())
        assert await job.result(PATIENCE_S) == 5

    assert proxy.lost == 1
    await far.close()


@only_valkey
async def test_a_subscription_that_broke_comes_back_and_hears_the_end(
    far: App, proxy: Proxy, url: str, namespace: str
) -> None:
    job = await far.tasks.get("add").enqueue(5)
    waiting = asyncio.create_task(job.result(PATIENCE_S))
    near = App(url, namespace=namespace)
    near.task(far.tasks.get("add").fn)
    await _registered(near)
    proxy.cut()
    proxy.mend()
    began = time.monotonic()

    async with working(near):
        assert await waiting == 5

    assert time.monotonic() - began < REREAD_S / 2
    await near.close()
    await far.close()


async def _registered(app: App) -> None:
    waiters = f"{app.store.namespace}:{{default}}:waiters"
    count: Call[int] = Call(("HLEN",), (waiters,), (), int)
    await eventually(lambda: app.connections.here().transport.send(count))


UNREACHABLE = "redis://me:s3cret@127.0.0.1:1/0"


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    transport = Transport(StoreConfig(url=UNREACHABLE, retry_s=0.1))

    with pytest.raises(StoreUnavailable, match="Redis cannot be reached") as told:
        transport.send(_ping())

    chain: BaseException | None = told.value
    while chain is not None:
        assert "s3cret" not in f"{chain} {chain!r}"
        chain = chain.__cause__ or chain.__context__


@pytest.mark.parametrize("url", ["redis://a..b:1", "rediss://a..b:1", "redis://bü..cher:1"])
async def test_what_can_be_no_host_is_a_server_that_cannot_be_reached(url: str) -> None:
    blocking = Transport(StoreConfig(url=url, retry_s=0))
    own = AsyncTransport(StoreConfig(url=url, retry_s=0))

    with pytest.raises(StoreUnavailable, match=r"^Redis cannot be reached \(.*is the URL right\?"):
        blocking.send(_ping())
    with pytest.raises(StoreUnavailable, match=r"^Redis cannot be reached \(.*is the URL right\?"):
        await own.send(_ping())


async def test_async_code_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rqueue.store.transport.pauses", lambda *_: pauses(0.1))
    app = App(UNREACHABLE)

    for call in (app.send("x"), app.job("x").info(), app.job("x").result(1)):
        with pytest.raises(StoreUnavailable) as told:
            await call
        assert "s3cret" not in str(told.value)
    await app.close()


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_wait_without_redis_is_not_tried_for_longer_than_it_may_take(
    monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    asked: list[float] = []

    def asking(seconds: float, began: float) -> Iterator[float]:
        asked.append(seconds)
        return pauses(seconds, began)

    monkeypatch.setattr("rqueue.store.transport.pauses", asking)
    app = App(UNREACHABLE)

    job = app.job("x")
    wait = asyncio.to_thread(job.result_sync, 0.2) if blocking else job.result(0.2)
    with pytest.raises(StoreUnavailable):
        await wait

    assert len(asked) == 1
    assert max(asked) <= 0.2
    await app.close()


def _ping() -> Call[bytes]:
    return Call(("PING",), (), (), bytes)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://me:s3cret@h:1/0", "redis://me:***@h:1/0"),
        ("redis://:s3cret@h", "redis://:***@h"),
        ("redis://:s3@cret@h", "redis://:***@h"),
        ("unix://me:s3cret@/tmp/x", "unix://me:***@/tmp/x"),
        ("redis://h:1/0?password=s3cret&db=1", "redis://h:1/0?password=***&db=1"),
        ("redis://h:1/0", "redis://h:1/0"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, safe: str) -> None:
    assert shown(url) == safe


def test_a_password_that_is_refused_is_not_tried_again_and_again(url: str) -> None:
    """A wrong password does not become right by waiting."""
    wrong = url.replace("unix://", "unix://me:s3cret@", 1)
    transport = Transport(StoreConfig(url=wrong, retry_s=30))
    began = time.monotonic()

    with pytest.raises(StoreError, match=r"refused the credentials: [^.]+\. Look at the") as told:
        transport.send(_ping())

    assert time.monotonic() - began < 5
    assert "s3cret" not in str(told.value)


@only_valkey
async def test_a_cancellation_that_redis_py_loses_is_heeded_nevertheless(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Python 3.12 ``asyncio.wait_for``, through which redis-py greets, may lose one."""
    connect = Connection.connect

    async def losing(connection: Connection) -> None:
        await connect(connection)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    monkeypatch.setattr(Connection, "connect", losing)
    transport = AsyncTransport(app.store)
    connecting = asyncio.create_task(transport.connect())

    await asyncio.wait({connecting})

    assert connecting.cancelled()
    await transport.close()
