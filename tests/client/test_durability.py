"""Durability: what is asked for, what a server cannot promise, what a handle says was met."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest
from redis import Redis

from rqueue.app import App
from rqueue.durability import Durability, durability_of
from rqueue.errors import ConfigError, Conflict, NotDurable, StoreUnavailable
from rqueue.handle import Job
from rqueue.store.call import Call
from rqueue.store.calls.durability import confirmation
from rqueue.store.scripts import ENQUEUE
from rqueue.store.transport import AsyncTransport, Transport
from tests.support.durable import HASTY, both_ways, enqueue
from tests.support.proxy import Proxy


@both_ways
async def test_an_enqueue_is_local_unless_somebody_says_otherwise(app: App, blocking: bool) -> None:
    job = await enqueue(app, blocking=blocking)

    assert (job.durability, app.job(job.id).durability) == ("local", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "eventual"},
        {"mode": None},
        {"mode": "replicated", "replicas": 0},
        {"mode": "replicated", "replicas": 1.5},
        {"mode": "replicated", "replicas": True},
        {"mode": "fsync", "timeout_s": 0},
        {"mode": "fsync", "timeout_s": 0.0001},
        {"mode": "fsync", "timeout_s": float("inf")},
        {"mode": "fsync", "timeout_s": float("nan")},
    ],
)
def test_a_durability_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        Durability(**wrong)


@pytest.mark.parametrize("wrong", ["eventual", "", None, 1, ["fsync"], {"mode": "fsync"}])
def test_so_is_one_of_an_app_or_of_a_call(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="is not one of local, fsync, replicated"):
        App(durability=wrong)
    with pytest.raises(ConfigError, match="is not one of local, fsync, replicated"):
        App().remote("x").options(durability=wrong)


def test_a_name_stands_for_its_durability() -> None:
    chosen = Durability(mode="replicated", replicas=2)

    assert durability_of("fsync") == Durability(mode="fsync", replicas=1, timeout_s=2.0)
    assert durability_of(chosen) is chosen


def test_the_shortest_wait_is_a_millisecond_because_none_would_have_no_end(url: str) -> None:
    wish = Durability(mode="replicated", timeout_s=0.001)
    transport = Transport(App(url).store)

    asked = transport.run(confirmation(wish)).call

    assert asked is not None
    assert asked.words() == ("WAIT", 1, 1)
    transport.close()


@both_ways
@pytest.mark.parametrize(
    ("of_app", "of_task", "of_call", "counts"),
    [
        ("local", HASTY, None, "task"),
        (HASTY, "local", None, "local"),
        (HASTY, None, None, "app"),
        ("local", HASTY, "local", "local"),
        ("local", "local", HASTY, "call"),
    ],
)
async def test_the_calls_durability_counts_before_the_tasks_and_that_before_the_apps(
    url: str,
    namespace: str,
    of_app: Any,
    of_task: Any,
    of_call: Any,
    counts: str,
    *,
    blocking: bool,
) -> None:
    app = App(url, namespace=namespace, durability=of_app)
    declared: Any = {} if of_task is None else {"durability": of_task}
    chosen: Any = {} if of_call is None else {"durability": of_call}

    @app.task(**declared)
    async def work() -> None:
        """Never run."""

    async def send() -> list[Job[Any]]:
        task = work.options(**chosen)
        if blocking:
            one = await asyncio.to_thread(task.enqueue_sync)
            return [one, *await asyncio.to_thread(app.enqueue_many_sync, [task.call()])]
        return [await task.enqueue(), *await app.enqueue_many([task.call()])]

    if counts == "local":
        assert [job.durability for job in await send()] == ["local", "local"]
    else:
        with pytest.raises(NotDurable, match="0 of 1 replicas"):
            await send()
    await app.close()


def test_a_tasks_durability_is_kept_as_a_value() -> None:
    app = App()

    @app.task(durability="fsync")
    async def work() -> None:
        """Never run."""

    assert work.declared.durability == Durability(mode="fsync")
    assert app.remote("elsewhere").declared.durability is None


@both_ways
async def test_fewer_replicas_than_wished_are_told_with_the_job_in_doubt(
    app: App, blocking: bool
) -> None:
    wish = Durability(mode="replicated", replicas=2, timeout_s=0.05)

    with pytest.raises(NotDurable, match=r"job 'mine': 0 of 2 replicas .* that is safe") as told:
        await enqueue(app, blocking=blocking, job_id="mine", durability=wish)

    assert (told.value.job_ids, told.value.wanted, told.value.got) == (("mine",), 2, 0)


async def test_a_job_that_is_refused_is_told_as_refused(app: App) -> None:
    await enqueue(app, blocking=False, job_id="mine")

    with pytest.raises(Conflict):
        await enqueue(app, blocking=False, job_id="mine", priority="low", durability=HASTY)


@both_ways
async def test_of_many_jobs_all_are_named_and_no_further_trip_is_made(
    app: App, redis: Redis, blocking: bool
) -> None:
    task = app.remote("x", queue="many").options(durability=HASTY)
    calls = [task.call(n) for n in range(501)]

    with pytest.raises(NotDurable, match=r"501 jobs: 0 of 1 replicas") as told:
        await (
            asyncio.to_thread(app.enqueue_many_sync, calls) if blocking else app.enqueue_many(calls)
        )

    assert told.value.job_ids == tuple(call.job_id for call in calls)
    assert redis.xlen(f"{app.store.namespace}:{{many}}:stream:normal") == 500


@both_ways
async def test_jobs_of_two_durabilities_go_in_trips_of_their_own(
    url: str, namespace: str, blocking: bool
) -> None:
    with Proxy(url) as proxy:
        app = App(proxy.url, namespace=namespace)
        task = app.remote("x")
        calls = [task.options(durability=one).call() for one in ("local", HASTY, "local")]
        app.remote("x").enqueue_sync()
        proxy.requests.clear()

        with pytest.raises(NotDurable):
            await (
                asyncio.to_thread(app.enqueue_many_sync, calls)
                if blocking
                else app.enqueue_many(calls)
            )

        trips = [one for one in proxy.requests if ENQUEUE.sha.encode() in one]
        assert [b"WAIT" in trip for trip in trips] == [False, True]
        await app.close()


@both_ways
async def test_a_wait_comes_after_the_enqueue_also_if_the_script_had_to_be_sent(
    url: str, namespace: str, redis: Redis, blocking: bool
) -> None:
    """A wait that was answered before its enqueue ran would promise what nobody has."""
    with Proxy(url) as proxy:
        app = App(proxy.url, namespace=namespace)
        await enqueue(app, blocking=blocking)
        redis.script_flush()
        proxy.requests.clear()

        with pytest.raises(NotDurable):
            await enqueue(app, blocking=blocking, durability=HASTY)

        said = b"".join(proxy.requests)
        words = re.findall(rb"\r\n(EVALSHA|EVAL|WAIT)\r\n", said)
        assert words[-4:] == [b"EVALSHA", b"WAIT", b"EVAL", b"WAIT"]
        await app.close()
        app.close_sync()


async def test_concurrent_enqueues_share_a_trip_with_their_like_only(
    url: str, namespace: str
) -> None:
    with Proxy(url) as proxy:
        app = App(proxy.url, namespace=namespace)
        await app.send("x")
        proxy.requests.clear()

        said = await asyncio.gather(
            *(enqueue(app, blocking=False, durability=one) for one in ("local", HASTY) * 3),
            return_exceptions=True,
        )

        trips = [trip for one in proxy.requests for trip in one.split(b"EVALSHA")[1:]]
        sizes = {True: 0, False: 0}
        for trip in trips:
            sizes[b"WAIT\r\n$1\r\n1" in trip] += (
                trip.count(b"normal\r\n") - 1
            )  # one stands in the keys
        assert [getattr(one, "durability", type(one)) for one in said] == ["local", NotDurable] * 3
        assert sizes == {False: 3, True: 3}
        await app.close()


async def test_a_cancelled_caller_does_not_end_the_wait_of_the_others(app: App) -> None:
    wish = Durability(mode="replicated", timeout_s=0.2)
    await app.send("x")
    first, second, third = (
        asyncio.create_task(enqueue(app, blocking=False, job_id=one, durability=wish))
        for one in ("a", "b", "c")
    )
    await asyncio.sleep(0)
    second.cancel()

    said = await asyncio.gather(first, second, third, return_exceptions=True)

    assert [type(one) for one in said] == [NotDurable, asyncio.CancelledError, NotDurable]


@both_ways
async def test_a_wait_may_take_longer_than_any_other_answer(app: App, blocking: bool) -> None:
    app.store = msgspec.structs.replace(app.store, timeout_s=0.3, retry_s=0.0)
    wish = Durability(mode="replicated", timeout_s=0.8)

    with pytest.raises(NotDurable):
        await enqueue(app, blocking=blocking, durability=wish)


@both_ways
async def test_a_wait_without_an_answer_is_no_answer(url: str, blocking: bool) -> None:
    store = msgspec.structs.replace(App(url).store, timeout_s=0.1, retry_s=0.0)
    endless: Call[int] = Call(("WAIT",), (), (9, 60_000), int).waiting(0.1)

    with pytest.raises(StoreUnavailable):
        await (
            asyncio.to_thread(Transport(store).send, endless)
            if blocking
            else AsyncTransport(store).send(endless)
        )
