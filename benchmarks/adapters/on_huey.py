"""huey on Redis; tasks are plain functions in threads, or in processes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import harness
from huey import RedisHuey


class Huey(harness.Adapter):
    """Where clients wait for results they are told by a list, and need not poll."""

    def __init__(self, order: harness.Order) -> None:
        super().__init__(order)
        self.huey = RedisHuey(
            "bench", url=order.url, results=order.results, notify_result=order.heard
        )
        self.tasks: dict[str, Any] = {
            name: self.huey.task(name=name)(fn) for name, fn in harness.TASKS.items()
        }

    def send(self, task: str, argument: Any) -> Any:
        return self.tasks[task](argument)

    def send_many(self, task: str, arguments: Sequence[Any]) -> None:
        for one in arguments:  # it has no bulk
            self.tasks[task](one)

    def send_later(self, task: str, argument: Any, due: float, count: int) -> None:
        at = datetime.fromtimestamp(due, UTC)
        for _ in range(count):
            self.tasks[task].schedule(args=(argument,), eta=at)

    def result(self, handle: Any) -> Any:
        return handle.get(blocking=True)

    def work(self) -> None:
        kind = "process" if self.order.pool == "processes" else "thread"
        self.huey.create_consumer(workers=self.order.concurrency, worker_type=kind).run()


if __name__ == "__main__":
    harness.play(Huey)
