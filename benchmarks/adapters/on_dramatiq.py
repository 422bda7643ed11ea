"""dramatiq with its Redis broker and result backend; tasks are plain functions in threads."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

import dramatiq
import harness
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

PREFETCHED = 64
"""Jobs that a worker holds for each of its threads."""


class Dramatiq(harness.Adapter):
    """A worker of threads; ``worker_timeout`` of 100 ms, for the default of a second is slow."""

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.broker = RedisBroker(url=order.url)
        self.backend = RedisBackend(url=order.url)
        self.broker.add_middleware(Results(backend=self.backend))
        dramatiq.set_broker(self.broker)
        self.tasks: dict[str, Any] = {
            name: dramatiq.actor(
                fn, actor_name=name, store_results=order.results, broker=self.broker
            )
            for name, fn in harness.TASKS.items()
        }

    def send(self, task: str, argument: Any) -> Any:
        return self.tasks[task].send(argument)

    def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        for one in arguments:  # it has no bulk
            self.tasks[task].send(one)

    def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        for _ in range(count):
            delay = max(0, round((due - time.time()) * 1000))
            self.tasks[task].send_with_options(args=(argument,), delay=delay)

    def result(self, handle: Any) -> Any:
        return handle.get_result(backend=self.backend, block=True, timeout=10_000)

    def work(self) -> None:
        worker = dramatiq.Worker(
            self.broker, worker_threads=self.order.concurrency, worker_timeout=100
        )
        if self.order.pool != "processes":  # there one worker would hold what the other could run
            worker.queue_prefetch = PREFETCHED * self.order.concurrency
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        worker.start()
        ended.wait()
        worker.stop()


if __name__ == "__main__":
    harness.play(Dramatiq)
