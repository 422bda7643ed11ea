"""rqueue, with all its guarantees: leases, fencing, typed arguments and results, timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import harness

from rqueue import App, Scheduler, Worker, WorkerConfig

with contextlib.suppress(ImportError):
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

app = App()
_BULK = 1_000


@app.task
async def noop(text: str) -> int:
    return harness.noop(text)


@app.task
async def stamp(sent: float) -> float:
    return harness.stamp(sent)


@app.task
async def late(due: float) -> int:
    return harness.late(due)


@app.task(name="sync-noop")
def sync_noop(text: str) -> int:
    return harness.noop(text)


@app.task(isolation="process")
def spin(rounds: int) -> int:
    return harness.spin(rounds)


class Rqueue(harness.Adapter):
    """As in the README."""

    is_async = True

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        app.use(url=order.url, namespace="bench")
        ttl = {} if order.results else {"result_ttl": 0}
        self.tasks: dict[str, Any] = {
            name: app.tasks.get(name).options(**ttl) for name in app.tasks.names()
        }
        if order.pool == "threads":
            self.tasks["noop"] = self.tasks["sync-noop"]

    async def open(self) -> None:
        """Connect with the first job."""

    async def close(self) -> None:
        await app.close()

    async def send(self, task: str, argument: Any) -> Any:
        return await self.tasks[task].enqueue(argument)

    def send_blocking(self, task: str, argument: Any) -> Any:
        return self.tasks[task].enqueue_sync(argument)

    async def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        call = self.tasks[task].call
        for batch in harness.batches(arguments, _BULK):
            await app.enqueue_many(map(call, batch))

    async def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        call = self.tasks[task].options(run_at=datetime.fromtimestamp(due, UTC)).call
        await app.enqueue_many(call(argument) for _ in range(count))

    async def result(self, handle: Any) -> Any:
        return await handle.result()

    def work(self) -> None:
        async def serve() -> None:
            slots = harness.CORES if self.order.pool == "processes" else 0
            config = WorkerConfig(concurrency=self.order.concurrency, process_slots=slots)
            worker = Worker(app, config)
            scheduler = Scheduler(app)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
            scheduling = asyncio.create_task(scheduler.run())
            await worker.run()
            scheduler.stop()
            await scheduling

        asyncio.run(serve())


if __name__ == "__main__":
    harness.play(Rqueue)
