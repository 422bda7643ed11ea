"""celery with Redis as broker and result backend; tasks are plain functions in a pool."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import harness
from celery import Celery

PREFETCHED = 50
"""Jobs that a process holds."""


class OnCelery(harness.Adapter):
    """A worker of processes that talks to no other worker."""

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.app = Celery("bench", broker=order.url, backend=order.url)
        self.app.conf.update(
            worker_prefetch_multiplier=PREFETCHED,
            task_ignore_result=not order.results,
        )
        self.tasks: dict[str, Any] = {
            name: self.app.task(fn, name=name) for name, fn in harness.TASKS.items()
        }

    def close(self) -> None:
        self.app.close()

    def send(self, task: str, argument: Any) -> Any:
        return self.tasks[task].delay(argument)

    def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        for one in arguments:  # it has no bulk
            self.tasks[task].delay(one)

    def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        at = datetime.fromtimestamp(due, UTC)
        for _ in range(count):
            self.tasks[task].apply_async((argument,), eta=at)

    def result(self, handle: Any) -> Any:
        return handle.get()

    def work(self) -> None:
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        quiet = ["--loglevel=WARNING"]
        pool = "threads" if self.order.pool == "threads" else "prefork"
        self.app.worker_main(
            ["worker", f"--pool={pool}", f"--concurrency={self.order.concurrency}", *alone, *quiet]
        )


if __name__ == "__main__":
    harness.play(OnCelery)
