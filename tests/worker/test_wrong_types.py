"""Somebody writes other types under rqueue's keys: what is sound goes on, what is not stays."""

from __future__ import annotations

from redis import Redis

from rqueue.app import App
from rqueue.config import QueueShare
from rqueue.events import WorkerReaped
from rqueue.store.keys import queue_keys
from tests.support.waiting import PATIENCE_S, Ears
from tests.support.working import scheduling, working


async def test_a_lane_of_a_wrong_type_stops_no_other_lane_and_no_other_queue(
    app: App, redis: Redis, namespace: str
) -> None:
    @app.task(queue="a")
    async def answer() -> int:
        return 42

    low = queue_keys(namespace, "a").stream("low")
    async with working(app, queues=(QueueShare("a"), QueueShare("b"))):
        redis.delete(low)
        redis.set(low, "not a stream")
        for queue in ("a", "b"):
            job = await answer.options(queue=queue).enqueue()
            assert await job.result(PATIENCE_S) == 42

    assert redis.get(low) == b"not a stream"


async def test_a_dead_workers_jobs_are_reaped_beside_a_lane_of_a_wrong_type(
    app: App, redis: Redis, namespace: str
) -> None:
    ears = Ears(app)

    @app.task
    async def answer() -> int:
        return 42

    keys = queue_keys(namespace, "default")
    job = await answer.enqueue()
    redis.xgroup_create(keys.stream("normal"), "workers", "0")
    redis.xreadgroup("workers", "dead-worker", {keys.stream("normal"): ">"}, count=1)
    redis.set(keys.stream("low"), "not a stream")

    async with scheduling(app, ["default"]):
        assert [one.jobs for one in await ears.hears(WorkerReaped)] == [1]

    redis.delete(keys.stream("low"))
    async with working(app):
        assert await job.result(PATIENCE_S) == 42
