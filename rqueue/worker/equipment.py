"""What workers and schedulers take from an app: its parts, not the app itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from rqueue.config import StoreConfig
from rqueue.durability import Durability
from rqueue.events import Observers
from rqueue.middleware import Middleware
from rqueue.registry import TaskRegistry

Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


class Equipment(Protocol):
    """What a worker takes from its app.

    Attributes:
        store: how Redis is reached.
        durability: what its producers are promised.
        tasks: what can be run.
        middlewares: around every execution; the first is the outermost.
        observers: who hears of what happens.
        lifespan: opens and closes the worker's resources; what it yields is ``ctx.state``.
    """

    store: StoreConfig
    durability: Durability
    tasks: TaskRegistry
    middlewares: list[Middleware]
    observers: Observers
    lifespan: Lifespan | None


@asynccontextmanager
async def opened(lifespan: Lifespan | None) -> AsyncGenerator[Any]:
    """The resources of a worker while the block runs; None where it has none."""
    async with AsyncExitStack() as stack:
        yield None if lifespan is None else await stack.enter_async_context(lifespan())
