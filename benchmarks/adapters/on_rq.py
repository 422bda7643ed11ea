"""rq; tasks are plain functions, run one after the other in the process of the worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import harness
from redis import Redis
from rq import Queue, SimpleWorker


class Rq(harness.Adapter):
    """A worker that does not fork for each job, with a scheduler beside.

    Results are kept where nobody wants them, too: deleting them (``result_ttl=0``) is slower.
    """

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.redis = Redis.from_url(order.url)
        self.queue = Queue("bench", connection=self.redis)

    def close(self) -> None:
        self.redis.close()

    def send(self, task: str, argument: Any) -> Any:
        return self.queue.enqueue(harness.TASKS[task], argument)

    def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        fn = harness.TASKS[task]
        self.queue.enqueue_many([Queue.prepare_data(fn, (one,)) for one in arguments])

    def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        at = datetime.fromtimestamp(due, UTC)
        with self.redis.pipeline() as pipeline:
            for _ in range(count):
                fn = harness.TASKS[task]
                self.queue.enqueue_at(at, fn, argument, pipeline=pipeline)
            pipeline.execute()

    def result(self, handle: Any) -> Any:
        return handle.latest_result(timeout=10).return_value

    def work(self) -> None:
        worker = SimpleWorker([self.queue], connection=self.redis)
        worker.work(with_scheduler=True, logging_level="WARNING")


if __name__ == "__main__":
    harness.play(Rq)
