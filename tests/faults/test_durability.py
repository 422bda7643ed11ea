"""What an enqueue promised is kept: across kills, a cut link, a stalled link and a failover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.durability import Durability
from rqueue.errors import NotDurable
from rqueue.handle import Job
from rqueue.ids import lengthen
from rqueue.store.keys import QueueKeys
from rqueue.store.scripts import ENQUEUE
from tests.support.proxy import Proxy
from tests.support.queue_state import read_state
from tests.support.replication import Pair, client
from tests.support.servers import FLAVOURS, Server
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.fault

PATIENT = Durability(mode="replicated", timeout_s=PATIENCE_S)
HASTY = Durability(mode="replicated", timeout_s=0.1)


@pytest.fixture(scope="module", params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def shared(flavour: str) -> Iterator[Pair]:
    with Pair(flavour) as pair:
        yield pair


@pytest.fixture
def pair(shared: Pair) -> Iterator[Pair]:
    """Linked at the beginning, whatever the test before did."""
    yield shared
    shared.mend()


@pytest.fixture
async def app(pair: Pair, namespace: str) -> AsyncIterator[App]:
    """An app on the primary, and what an enqueue needs beside its job is written."""
    app = App(pair.primary.url, namespace=namespace, durability=PATIENT)
    assert (await app.send("x")).durability == "replicated"
    yield app
    await app.close()


async def enqueue(app: App, job_id: str, *, blocking: bool) -> Job[Any]:
    task = app.remote("x").options(job_id=job_id, durability=HASTY)
    return await (asyncio.to_thread(task.enqueue_sync) if blocking else task.enqueue())


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("fault", [Pair.cut, Pair.stall])
async def test_a_job_that_no_replica_has_is_not_durable_however_often_it_is_sent(
    app: App, pair: Pair, fault: Any, blocking: bool
) -> None:
    """A duplicate is no write, and a connection that wrote nothing has nothing to wait for."""
    fault(pair)
    other = App(pair.primary.url, namespace=app.store.namespace)

    for sender in (app, app, other):
        with pytest.raises(
            NotDurable, match=r"job 'mine': 0 of 1 replicas had the enqueue"
        ) as told:
            await enqueue(sender, "mine", blocking=blocking)
        assert (told.value.job_ids, told.value.wanted, told.value.got) == (("mine",), 1, 0)
    assert (await app.job("mine").info()).task == "x"
    pair.mend()
    job = await app.remote("x").options(job_id="mine").enqueue()

    assert (job.status, job.durability) == ("duplicate", "replicated")
    await other.close()


@pytest.mark.parametrize("blocking", [True, False])
async def test_an_answer_that_was_lost_is_waited_for_again(
    app: App, pair: Pair, blocking: bool
) -> None:
    with Proxy(pair.primary.url) as proxy:
        far = App(proxy.url, namespace=app.store.namespace)
        await (asyncio.to_thread(far.send_sync, "x") if blocking else far.send("x"))
        pair.stall()
        proxy.lose_answer_to(ENQUEUE.sha.encode())

        with pytest.raises(NotDurable):
            await enqueue(far, "mine", blocking=blocking)

        assert proxy.lost == 1
        await far.close()


async def test_the_holder_of_a_unique_key_is_as_durable_as_was_wished(app: App, pair: Pair) -> None:
    mine = app.remote("x").options(unique="u", durability="local")
    pair.stall()
    holder = await asyncio.to_thread(mine.enqueue_sync)  # over a connection of its own

    with pytest.raises(NotDurable):
        await mine.options(durability=HASTY).enqueue()
    pair.mend()
    locked = await mine.options(durability=PATIENT).enqueue()

    assert (holder.durability, locked.status, locked) == ("local", "locked", holder)


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_wait_that_ran_before_its_script_was_there_does_not_count(
    app: App, pair: Pair, blocking: bool
) -> None:
    """On a new connection: there the first WAIT has nothing to wait for."""
    pair.stall()
    other = App(pair.primary.url, namespace=app.store.namespace)
    pair.to_primary.script_flush()

    with pytest.raises(NotDurable):
        await enqueue(other, "mine", blocking=blocking)

    await other.close()


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_duplicate_is_not_durable_either_when_memory_is_full(
    app: App, pair: Pair, blocking: bool
) -> None:
    pair.stall()
    await app.remote("x").options(job_id="mine", durability="local").enqueue()
    pair.to_primary.config_set("maxmemory", 1)
    try:
        with pytest.raises(NotDurable):
            await enqueue(app, "mine", blocking=blocking)
    finally:
        pair.to_primary.config_set("maxmemory", 0)


async def test_what_was_accepted_is_there_after_a_failover_and_all_else_was_told(
    flavour: str, namespace: str
) -> None:
    with Pair(flavour) as pair:
        app = App(pair.primary.url, namespace=namespace)
        heir = App(pair.replica.url, namespace=namespace)
        kept = [await app.remote("x").options(durability=PATIENT).enqueue() for _ in range(20)]
        pair.stall()
        calls = [app.remote("x").options(durability=HASTY).call() for _ in range(20)]
        told = await asyncio.gather(*map(app.enqueue, calls), return_exceptions=True)
        pair.fail_over()

        assert [type(one) for one in told] == [NotDurable] * 20
        assert ids_at(pair.to_replica, namespace) == {job.id for job in kept}
        task = heir.remote("x").options(durability="local")
        again = [await task.options(job_id=call.job_id).enqueue() for call in calls]
        assert {job.status for job in again} == {"accepted"}
        await app.close()
        await heir.close()


@pytest.mark.parametrize("blocking", [True, False])
async def test_every_job_that_reached_the_disk_survives_three_kills(
    flavour: str, namespace: str, tmp_path: Path, blocking: bool
) -> None:
    with Server(flavour, data_dir=tmp_path, appendfsync="always") as server:
        accepted: set[str] = set()
        for life in range(3):
            app = App(server.url, namespace=namespace, durability="fsync")
            for n in range(30):
                mine = app.remote("x").options(job_id=f"{life}-{n}")
                job = mine.enqueue_sync() if blocking else await mine.enqueue()
                assert job.durability == "fsync"
                accepted.add(job.id)
            server.kill()
            server.restart()
            await app.close()

        with client(server.url) as redis:
            assert ids_at(redis, namespace) == accepted


def ids_at(redis: Redis, namespace: str) -> set[str]:
    """The ids of the jobs in the stream, each of which has its record."""
    state = read_state(redis, QueueKeys(namespace, "default"))
    short = {entry.fields["id"] for entry in state.lanes["normal"]}
    assert short == set(state.records)
    return {lengthen(one) for one in short}
