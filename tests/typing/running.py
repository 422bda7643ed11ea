# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""Running: lifespan, middleware, hooks, endings, workers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, assert_type

from rqueue import (
    App,
    Context,
    Discard,
    Fail,
    LeaseConfig,
    QueueShare,
    RetryAfter,
    Scheduler,
    Snooze,
    TaskCall,
    Worker,
    WorkerConfig,
)


class Pool:
    """What the lifespan opens."""

    async def fetch(self, key: str) -> int:
        return len(key)


@asynccontextmanager
async def resources() -> AsyncGenerator[Pool]:
    yield Pool()


@asynccontextmanager
async def resources_of(name: str) -> AsyncGenerator[str]:
    yield name


async def not_a_lifespan() -> Pool:
    return Pool()


app = App(lifespan=resources)


@app.task
async def look_up(ctx: Context[Pool], key: str) -> int:
    return assert_type(await ctx.state.fetch(key), int)


def wrong_lifespans() -> None:
    App(lifespan=not_a_lifespan)  # type: ignore[arg-type]
    App(lifespan=resources())  # type: ignore[arg-type]
    App(lifespan=resources_of)  # type: ignore[arg-type]


@app.middleware
async def timed(
    ctx: Context[Any], call_next: Callable[[Context[Any]], Awaitable[object]]
) -> object:
    assert_type(ctx.headers.get("trace"), str | None)
    return await call_next(ctx)


def wrong_middleware() -> None:
    def blocking(ctx: Context[Any], call_next: Callable[[Context[Any]], object]) -> str:
        return f"{ctx.task} {call_next(ctx)}"

    async def without_next(ctx: Context[Any]) -> object:
        return ctx

    app.middleware(blocking)  # type: ignore[arg-type]
    app.middleware(without_next)  # type: ignore[arg-type]


@app.before_enqueue
def trace(call: TaskCall[Any]) -> TaskCall[Any]:
    assert_type(call.task, str)
    return call


def wrong_hook() -> None:
    def forgets_the_call(call: TaskCall[Any]) -> None: ...

    app.before_enqueue(forgets_the_call)  # type: ignore[arg-type]


def endings(kind: int) -> None:
    if kind == 1:
        raise Snooze(30)
    if kind == 2:
        raise RetryAfter(30, "rate limited")
    if kind == 3:
        raise Discard("gone")
    if kind == 4:
        raise Fail("permanent")
    Snooze()  # type: ignore[call-arg]
    Snooze("30")  # type: ignore[arg-type]
    RetryAfter(seconds="30")  # type: ignore[arg-type]
    Discard(404)  # type: ignore[arg-type]
    Fail(ValueError())  # type: ignore[arg-type]


async def workers() -> None:
    config = WorkerConfig(
        queues=(QueueShare("mail", 2),), concurrency=10, lease=LeaseConfig(lease_s=2)
    )
    worker = Worker(app, config)
    assert_type(await worker.run(), bool)
    scheduler = Scheduler(app, ["mail"], LeaseConfig())
    await scheduler.run()
    worker.stop()

    Worker(config)  # type: ignore[arg-type]
    Worker(app, concurrency=10)  # type: ignore[call-arg]
    WorkerConfig(concurency=10)  # type: ignore[call-arg]
    WorkerConfig(queues=["mail"])  # type: ignore[arg-type]
    Scheduler(app, lease=15)  # type: ignore[arg-type]
