"""A client whose sends are counted."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from rqueue.client.client import Client
from rqueue.client.traced import TracedClient
from rqueue.clock import monotonic
from rqueue.errors import PartlyRefused, RqueueError, StoreError
from rqueue.events import Meter, SendResult
from rqueue.handle import Job
from rqueue.options import Seconds
from rqueue.task import TaskCall

R = TypeVar("R")


class MeteredClient:
    """Sends as the client does.

    Args:
        client: who sends.
        meter: who counts.
    """

    def __init__(self, client: Client | TracedClient, meter: Meter) -> None:
        self._client = client
        self._meter = meter

    async def enqueue(self, call: TaskCall[R]) -> Job[R]:
        """Send one call."""
        with _Watch(self._meter, [call]) as watch:
            job = await self._client.enqueue(call)
            watch.outcomes = [job]
        return job

    def enqueue_sync(self, call: TaskCall[R]) -> Job[R]:
        """``enqueue`` for blocking code."""
        with _Watch(self._meter, [call]) as watch:
            job = self._client.enqueue_sync(call)
            watch.outcomes = [job]
        return job

    async def enqueue_many(self, calls: Sequence[TaskCall[R]], spread: Seconds) -> list[Job[R]]:
        """Send many calls."""
        with _Watch(self._meter, calls) as watch:
            watch.outcomes = jobs = await self._client.enqueue_many(calls, spread)
        return jobs

    def enqueue_many_sync(self, calls: Sequence[TaskCall[R]], spread: Seconds) -> list[Job[R]]:
        """``enqueue_many`` for blocking code."""
        with _Watch(self._meter, calls) as watch:
            watch.outcomes = jobs = self._client.enqueue_many_sync(calls, spread)
        return jobs


class _Watch:
    """Tells the meter at its end what became of each call; nothing was, where something raised."""

    def __init__(self, meter: Meter, calls: Sequence[TaskCall[Any]]) -> None:
        self._meter = meter
        self._calls = calls
        self.outcomes: Sequence[object] = ()

    def __enter__(self) -> Self:
        self._began = monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outcomes = self.outcomes
        if isinstance(error, PartlyRefused):
            outcomes = error.outcomes
        elif error is not None:
            outcomes = [error] * len(self._calls)
        sent: list[tuple[str, str, SendResult]] = [
            (call.options.get("queue", call.defaults.queue), call.task, _result(outcome))
            for call, outcome in zip(self._calls, outcomes, strict=True)
        ]
        if sent:
            self._meter.sent(sent, monotonic() - self._began)


def _result(outcome: object) -> SendResult:
    if isinstance(outcome, Job):
        return "accepted" if outcome.status == "accepted" else "duplicate"
    is_refusal = isinstance(outcome, RqueueError) and not isinstance(outcome, StoreError)
    return "rejected" if is_refusal else "error"
