"""saq on Redis; tasks are coroutines."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

import harness
import uvloop
from saq import Queue, Worker

RESULT_POLL_S = 0.001
NO_RESULT = -1


class Saq(harness.Adapter):
    """Looks for results itself: a notice that comes before it listens would be lost."""

    is_async = True

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.kept = {} if order.results else {"ttl": NO_RESULT}

    async def open(self) -> None:
        self.queue = Queue.from_url(self.order.url, name="bench")
        await self.queue.connect()

    async def close(self) -> None:
        await self.queue.disconnect()

    async def send(self, task: str, argument: Any) -> Any:
        return await self.queue.enqueue(task, argument=argument, **self.kept)

    async def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        await harness.in_groups(lambda one: self.send(task, one), arguments)

    async def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        at = math.ceil(due)  # whole seconds are all that it knows

        async def send(argument: Any) -> None:
            await self.queue.enqueue(task, argument=argument, scheduled=at, **self.kept)

        await harness.in_groups(send, [argument] * count)

    async def result(self, handle: Any) -> Any:
        await handle.refresh()
        while not handle.completed:
            await asyncio.sleep(RESULT_POLL_S)
            await handle.refresh()
        return handle.result

    def work(self) -> None:
        async def serve() -> None:
            await self.open()
            functions = [(name, _task(fn)) for name, fn in harness.TASKS.items()]
            await Worker(self.queue, functions, concurrency=self.order.concurrency).start()
            await self.close()

        asyncio.run(serve())


def _task(fn: Callable[[Any], Any]) -> Any:
    async def run(_context: Any, *, argument: Any) -> Any:
        return fn(argument)

    return run


if __name__ == "__main__":
    uvloop.install()
    harness.play(Saq)
