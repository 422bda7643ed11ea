"""``/scale/QUEUE`` and the demand of queues, as Redis tells it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from rqueue import App
from rqueue.errors import ConfigError
from rqueue.metrics import exporter
from rqueue.scaling import Demand
from tests.metrics.test_queues import scraped
from tests.support.pages import read
from tests.support.servers import Server
from tests.support.waiting import eventually
from tests.support.working import working


def told(app: App, path: str) -> tuple[int, dict[str, object]]:
    with exporter(app, "127.0.0.1", 0) as endpoint:
        page = read(endpoint.url, path)
    assert page.kind == "application/json"
    return page.status, msgspec.json.decode(page.text)


def aged(demand: Demand) -> Demand:
    """Without what time makes of it."""
    return msgspec.structs.replace(demand, oldest_age_s=0.0)


async def test_what_is_ready_due_and_running_asks_for_replicas(app: App) -> None:
    go = asyncio.Event()

    @app.task
    async def held() -> None:
        await go.wait()

    async with working(app, concurrency=2) as worker:
        for _ in range(2):
            await held.enqueue()
        await eventually(lambda: worker.in_hand == 2)
        for _ in range(3):
            await held.enqueue()
        await held.options(delay=5).enqueue()
        await held.options(delay=3600).enqueue()
        found = aged(await app.inspector.demand("default"))
        go.set()

    assert found == Demand(
        queue="default", desired=4, ready=3, due=1, running=2, oldest_age_s=0.0, target_s=None,
        slots=2, workers=1,
    )  # fmt: skip


async def test_queues_that_the_same_workers_serve_ask_together(app: App) -> None:
    remote = app.remote
    await app.enqueue_many(remote("work", "mail").call() for _ in range(30))
    await app.enqueue_many(remote("work").call() for _ in range(20))
    await app.inspector.aim("mail", 60)
    await app.inspector.aim("default", 30)
    both = await app.inspector.demand("mail", "default", slots=10)

    await app.inspector.pause("mail")
    one = await app.inspector.demand("mail", "default", slots=10)

    assert [(it.queue, it.desired, it.ready, it.target_s) for it in (both, one)] == [
        ("mail,default", 7, 50, 30.0), ("mail,default", 3, 20, 30.0),
    ]  # fmt: skip


async def test_a_queue_that_is_named_twice_counts_once(app: App) -> None:
    await app.enqueue_many(app.remote("work").call() for _ in range(20))

    assert (await app.inspector.demand("default", "default", slots=10)).ready == 20
    with pytest.raises(ConfigError, match="at most 100"):
        await app.inspector.demand(*(f"q{n}" for n in range(101)))


async def test_while_jobs_are_late_there_should_be_more(app: App) -> None:
    await app.enqueue_many(app.remote("work").call() for _ in range(20))
    await app.inspector.aim("default", 0.001)
    await eventually(lambda: app.inspector_sync.demand("default").oldest_age_s > 0.004)

    assert (await app.inspector.demand("default", slots=10)).desired == 12


async def test_a_page_tells_it_and_it_falls_slowly(app: App) -> None:
    jobs = await app.enqueue_many(app.remote("work").call() for _ in range(200))
    with exporter(app, "127.0.0.1", 0) as endpoint:

        def wanted() -> object:
            return msgspec.json.decode(read(endpoint.url, "/scale/default").text)["desired"]

        before = wanted()
        await asyncio.gather(*(job.cancel() for job in jobs))
        after = wanted()

    assert (before, after) == (3, 3)
    assert (await app.inspector.demand("default")).desired == 0
    assert told(app, "/scale/default")[1]["desired"] == 0


async def test_who_asks_may_know_better_how_many_slots_a_replica_has(app: App) -> None:
    await app.enqueue_many(app.remote("work").call() for _ in range(200))
    with exporter(app, "127.0.0.1", 0) as endpoint:
        pages = ("/scale/default", "/scale/default?slots=25", "/scale/default?slots=1000")
        asked = [msgspec.json.decode(read(endpoint.url, page).text) for page in pages]

    assert [(one["slots"], one["desired"]) for one in asked] == [(100, 3), (25, 10), (1000, 1)]


@pytest.mark.parametrize(
    "query",
    [
        "slots=0",
        "slots=-4",
        "slots=many",
        "slot=4",
        "slots=4&x=1",
        pytest.param("slots=" + "9" * 5000, id="endless"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(app: App, query: str) -> None:
    status, answer = told(app, f"/scale/default?{query}")

    assert (status, "slots" in str(answer["error"])) == (400, True)


async def test_an_exporter_tells_prometheus_too(app: App) -> None:
    await app.enqueue_many(app.remote("work").call() for _ in range(200))
    await app.inspector.aim("default", 5)
    names = (
        "queue_slots", "queue_slots_busy", "autoscale_desired_replicas", "queue_slo_wait_seconds",
    )  # fmt: skip
    async with working(app, concurrency=7):
        await app.inspector.pause("default")
        found = scraped(app, *names)

    assert found.keys() == {(name, "default") for name in names}
    assert (found["queue_slots", "default"], found["queue_slo_wait_seconds", "default"]) == (7, 5)


def test_a_queue_that_was_never_written_asks_for_nothing(app: App) -> None:
    status, answer = told(app, "/scale/nobody")

    assert (status, answer["desired"], answer["slots"]) == (200, 0, 100)


@pytest.mark.parametrize("path", ["/scale/", "/scale/a%20b", "/scale/default,", "/scale/{x}"])
def test_a_name_that_is_none_is_refused(app: App, path: str) -> None:
    status, answer = told(app, path)

    assert (status, "queue" in str(answer["error"])) == (400, True)


def test_without_redis_there_is_no_number() -> None:
    with Server("valkey9", tcp=True) as server:
        app = App(server.url)
        app.store = msgspec.structs.replace(app.store, retry_s=0.1)
        server.kill()
        status, answer = told(app, "/scale/default")
        app.close_sync()

    assert status == 503
    assert "desired" not in answer
