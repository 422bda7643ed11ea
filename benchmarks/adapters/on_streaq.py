"""streaq, on coredis; tasks are coroutines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import harness
import uvloop
from streaq import Worker


class Streaq(harness.Adapter):
    """Its worker is both: the client that enqueues, and what runs the jobs."""

    is_async = True

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.worker = Worker(
            redis_url=order.url,
            concurrency=order.concurrency,
            queue_name="bench",
            anyio_kwargs={"use_uvloop": True},
        )
        kept = {} if order.results else {"ttl": 0}
        self.tasks: dict[str, Any] = {
            name: self.worker.task(name=name, **kept)(harness.as_coroutine(fn))
            for name, fn in harness.TASKS.items()
        }

    async def open(self) -> None:
        await self.worker.__aenter__()

    async def close(self) -> None:
        await self.worker.__aexit__(None, None, None)

    async def send(self, task: str, argument: Any) -> Any:
        return await self.tasks[task].enqueue(argument)

    async def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        enqueue = self.tasks[task].enqueue
        for batch in harness.batches(arguments):
            await self.worker.enqueue_many([enqueue(one) for one in batch])

    async def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        at = datetime.fromtimestamp(due, UTC)
        enqueue = self.tasks[task].enqueue
        for batch in harness.batches([argument] * count):
            await self.worker.enqueue_many([enqueue(one).start(schedule=at) for one in batch])

    async def result(self, handle: Any) -> Any:
        return (await handle.result()).result

    def work(self) -> None:
        self.worker.run_sync()


if __name__ == "__main__":
    uvloop.install()
    harness.play(Streaq)
