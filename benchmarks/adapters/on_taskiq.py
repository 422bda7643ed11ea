"""taskiq with streams of Redis; tasks are coroutines."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import harness
import uvloop
from taskiq import TaskiqScheduler
from taskiq.api import run_scheduler_task
from taskiq.receiver import Receiver
from taskiq_redis import ListRedisScheduleSource, RedisAsyncResultBackend, RedisStreamBroker

RESULT_POLL_S = 0.001
GROUP = 20
"""Jobs sent at a time: a hundred are slower."""


class Taskiq(harness.Adapter):
    """Its scheduler looks for new schedules each second, for the default of a minute is late."""

    is_async = True

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.broker: Any = RedisStreamBroker(order.url)
        if order.results:
            self.broker = self.broker.with_result_backend(RedisAsyncResultBackend(order.url))
        self.source = ListRedisScheduleSource(order.url)
        self.tasks: dict[str, Any] = {
            name: self.broker.register_task(harness.as_coroutine(fn), task_name=name)
            for name, fn in harness.TASKS.items()
        }

    async def open(self) -> None:
        await self.broker.startup()
        await self.source.startup()

    async def close(self) -> None:
        await self.source.shutdown()
        await self.broker.shutdown()

    async def send(self, task: str, argument: Any) -> Any:
        return await self.tasks[task].kiq(argument)

    async def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        await harness.in_groups(self.tasks[task].kiq, arguments, GROUP)

    async def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        at = datetime.fromtimestamp(due, UTC)

        async def send(argument: Any) -> None:
            await self.tasks[task].schedule_by_time(self.source, at, argument)

        await harness.in_groups(send, [argument] * count, GROUP)

    async def result(self, handle: Any) -> Any:
        return (await handle.wait_result(check_interval=RESULT_POLL_S)).return_value

    def work(self) -> None:
        multiprocessing.Process(target=self._schedule, daemon=True).start()

        async def serve() -> None:
            ended = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
            receiver = Receiver(
                self.broker,
                validate_params=False,
                max_async_tasks=self.order.concurrency,
                max_prefetch=self.order.concurrency,
            )
            await receiver.listen(ended)
            await self.broker.shutdown()

        self.broker.is_worker_process = True
        asyncio.run(serve())

    def _schedule(self) -> None:
        scheduler = TaskiqScheduler(self.broker, [self.source])
        looking = timedelta(seconds=1)
        asyncio.run(run_scheduler_task(scheduler, run_startup=True, interval=looking))


if __name__ == "__main__":
    uvloop.install()
    harness.play(Taskiq)
