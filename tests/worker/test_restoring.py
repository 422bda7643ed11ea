"""Somebody destroys a queue's groups, or all it has: its worker goes on, under a name it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from rqueue import Context, LeaseConfig
from rqueue.app import App
from rqueue.events import GroupsRestored, WorkerFenced
from rqueue.store.keys import GROUP, LANES, QueueKeys
from rqueue.task import Task
from tests.support.queue_state import read_state
from tests.support.waiting import PATIENCE_S, Ears, eventually
from tests.support.working import working

NEVER_RENEWED = LeaseConfig(lease_s=3600)
"""Only who fetches can notice what is missing."""


@pytest.fixture
def keys(namespace: str) -> QueueKeys:
    return QueueKeys(namespace, "default")


@pytest.fixture
def who(app: App) -> Task[[], str]:
    @app.task
    async def who(ctx: Context) -> str:
        return ctx.worker

    return who


def only_groups(pipe: Any, keys: QueueKeys) -> None:
    for lane in LANES:
        pipe.xgroup_destroy(keys.stream(lane), GROUP)


def groups_and_leases(pipe: Any, keys: QueueKeys) -> None:
    only_groups(pipe, keys)
    pipe.delete(keys.leases)


def streams_and_leases(pipe: Any, keys: QueueKeys) -> None:
    pipe.delete(keys.leases, *map(keys.stream, LANES))


def destroy(redis: Redis, keys: QueueKeys, what: Callable[[Any, QueueKeys], None]) -> None:
    """All at once: between two of them the worker would find groups to restore."""
    with redis.pipeline(transaction=True) as pipe:
        what(pipe, keys)
        pipe.execute()


@pytest.mark.parametrize("what", [groups_and_leases, streams_and_leases])
async def test_a_worker_without_groups_and_lease_comes_back_under_a_new_name(
    app: App, who: Any, redis: Redis, keys: QueueKeys, what: Callable[[Any, QueueKeys], None]
) -> None:
    ears = Ears(app)
    async with working(app, lease=NEVER_RENEWED) as worker:
        (before,) = worker.worker_ids
        assert await (await who.enqueue()).result(PATIENCE_S) == before
        destroy(redis, keys, what)

        after = await (await who.enqueue()).result(PATIENCE_S)

        assert worker.worker_ids == [after] != [before]
        state = read_state(redis, keys)
        assert list(state.leases) == [after]
        assert set(state.groups) == set(LANES)
        assert {name for names in state.groups.values() for name in names} == {after}
        assert await (await who.enqueue()).result(PATIENCE_S) == after

    assert [(one.worker, one.jobs) for one in ears.of(WorkerFenced)] == [(before, 0)]


async def test_a_worker_whose_lease_stands_makes_the_groups_again_and_keeps_its_name(
    app: App, who: Any, redis: Redis, keys: QueueKeys
) -> None:
    ears = Ears(app)
    async with working(app, lease=NEVER_RENEWED) as worker:
        (me,) = worker.worker_ids
        assert await (await who.enqueue()).result(PATIENCE_S) == me
        destroy(redis, keys, only_groups)

        assert await (await who.enqueue()).result(PATIENCE_S) == me

        assert worker.worker_ids == [me]
        state = read_state(redis, keys)
        assert list(state.leases) == [me]
        assert set(state.groups) == set(LANES)

    assert ears.of(WorkerFenced) == []
    assert ears.of(GroupsRestored) == [GroupsRestored(queue="default", worker=me)]


async def test_a_job_that_runs_while_groups_are_made_again_is_not_begun_twice(
    app: App, who: Any, redis: Redis, keys: QueueKeys
) -> None:
    """The new groups deliver every entry again, also those in hand."""
    runs, go = list[int](), asyncio.Event()

    @app.task
    async def hold(ctx: Context) -> None:
        runs.append(ctx.fencing_token)
        await go.wait()

    async with working(app, lease=NEVER_RENEWED):
        held = await hold.enqueue()
        await eventually(lambda: runs)
        destroy(redis, keys, only_groups)
        assert await (await who.enqueue()).result(PATIENCE_S)
        await eventually(lambda: redis.xpending(keys.stream("normal"), GROUP)["pending"])  # pyright: ignore[reportArgumentType]
        go.set()
        await held.result(PATIENCE_S)

    assert runs == [1]


async def test_a_worker_whose_redis_was_emptied_comes_back_under_a_new_name(
    app: App, who: Any, redis: Redis, namespace: str
) -> None:
    async with working(app) as worker:
        (before,) = worker.worker_ids
        assert await (await who.enqueue()).result(PATIENCE_S) == before
        redis.delete(*redis.keys(f"{namespace}:*"))

        after = await (await who.enqueue()).result(PATIENCE_S)

        assert worker.worker_ids == [after] != [before]
        assert list(await app.workers.list()) == [after]
