"""arq; tasks are coroutines. Its workers poll for jobs, and its clients for results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import harness
import uvloop
from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

POLL_S = 0.005
RESULT_POLL_S = 0.001


class Arq(harness.Adapter):
    """Polls as often as jobs come."""

    is_async = True

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.settings = RedisSettings.from_dsn(order.url)

    async def open(self) -> None:
        self.pool = await create_pool(self.settings)

    async def close(self) -> None:
        await self.pool.aclose()

    async def send(self, task: str, argument: Any) -> Any:
        return await self.pool.enqueue_job(task, argument)

    async def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        await harness.in_groups(lambda one: self.send(task, one), arguments)

    async def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        at = datetime.fromtimestamp(due, UTC)

        async def send(argument: Any) -> None:
            await self.pool.enqueue_job(task, argument, _defer_until=at)

        await harness.in_groups(send, [argument] * count)

    async def result(self, handle: Any) -> Any:
        return await handle.result(poll_delay=RESULT_POLL_S)

    def work(self) -> None:
        kept = {} if self.order.results else {"keep_result": 0}
        worker = Worker(
            functions=[func(_task(fn), name=name) for name, fn in harness.TASKS.items()],
            redis_settings=self.settings,
            max_jobs=self.order.concurrency,
            poll_delay=POLL_S,
            **kept,
        )
        worker.run()


def _task(fn: Callable[[Any], Any]) -> Any:
    async def run(_context: Any, argument: Any) -> Any:
        return fn(argument)

    return run


if __name__ == "__main__":
    uvloop.install()
    harness.play(Arq)
