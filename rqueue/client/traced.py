"""A client whose jobs are traced: they carry where they come from, and how they fare is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

import msgspec

from rqueue.client.building import shares
from rqueue.client.client import Client
from rqueue.errors import PartlyRefused, PayloadTooLarge
from rqueue.handle import Job
from rqueue.options import CallOptions, Seconds, seconds
from rqueue.task import TaskCall
from rqueue.tracing import Outgoing, Sending, Tracing, safely

R = TypeVar("R")
Call = TaskCall[Any]
One = Generator[Call, Job[Any], Job[Any]]
Batch = tuple[Sequence[Call], Seconds]
Many = Generator[Batch, list[Job[Any]], list[Job[Any]]]


class TracedClient:
    """Sends as the client does.

    Tracing fails no enqueue: what would be too large with the context goes without it.

    Args:
        client: who makes the trips.
        tracing: who follows the jobs.
        url: of the Redis that they go to.
    """

    def __init__(self, client: Client, tracing: Tracing, url: str) -> None:
        self._client = client
        self._tracing = tracing
        self._url = url

    async def enqueue(self, call: TaskCall[R]) -> Job[R]:
        """Send one call."""
        return await _driven(self._one(call), self._client.enqueue)

    def enqueue_sync(self, call: TaskCall[R]) -> Job[R]:
        """``enqueue`` for blocking code."""
        return _driven_sync(self._one(call), self._client.enqueue_sync)

    async def enqueue_many(self, calls: Sequence[TaskCall[R]], spread: Seconds) -> list[Job[R]]:
        """Send many calls."""

        async def send(batch: Batch) -> list[Job[Any]]:
            return await self._client.enqueue_many(*batch)

        return await _driven(self._many(calls, spread), send)

    def enqueue_many_sync(self, calls: Sequence[TaskCall[R]], spread: Seconds) -> list[Job[R]]:
        """``enqueue_many`` for blocking code."""
        many = self._many(calls, spread)
        return _driven_sync(many, lambda batch: self._client.enqueue_many_sync(*batch))

    def _one(self, call: Call) -> One:
        told = [_outgoing(call, self._url)]
        sending = safely(partial(self._tracing.send, told, is_batch=False))
        if sending is None:
            return (yield call)
        try:
            job = yield from _sent(call, sending)
        except BaseException as error:
            _end(sending, [], error)
            raise
        _end(sending, [job.status])
        return job

    def _many(self, calls: Sequence[Call], spread: Seconds) -> Many:
        # A call that stands in it twice is refused; copies of it would not be seen to be one.
        is_sound = calls and len({id(call) for call in calls}) == len(calls)
        told = [_outgoing(call, self._url) for call in calls] if is_sound else []
        send = partial(self._tracing.send, told, is_batch=True)
        sending = safely(send) if told else None
        if sending is None:
            return (yield calls, spread)
        try:
            jobs = yield from _all_sent(calls, spread, sending)
        except PartlyRefused as refused:
            _end(sending, [_status(one) for one in refused.outcomes], refused)
            raise
        except BaseException as error:
            _end(sending, [], error)
            raise
        _end(sending, [job.status for job in jobs])
        return jobs


def _sent(call: Call, sending: Sending) -> One:
    try:
        return (yield _carrying(call, sending.headers[0]))
    except PayloadTooLarge:
        sending.leave_out([0])
    return (yield call)


def _all_sent(calls: Sequence[Call], spread: Seconds, sending: Sending) -> Many:
    """All with their context; those that are too large with it once more, without."""
    outcomes: Sequence[Any] = []
    try:
        return (yield [*map(_carrying, calls, sending.headers)], spread)
    except PayloadTooLarge:  # of the app: all are built before any is sent
        sending.leave_out(range(len(calls)))
    except PartlyRefused as refused:  # the cap of a queue may be lower
        outcomes = refused.outcomes
    if not outcomes:
        return (yield calls, spread)
    over = [n for n, one in enumerate(outcomes) if isinstance(one, PayloadTooLarge)]
    if not over:
        raise PartlyRefused(outcomes)
    sending.leave_out(over)
    later = shares(len(calls), spread)
    try:
        again: Sequence[object] = yield [_later(calls[n], later[n]) for n in over], 0
    except PartlyRefused as refused:
        again = refused.outcomes
    merged: dict[int, Any] = dict(enumerate(outcomes)) | dict(zip(over, again, strict=True))
    if not all(isinstance(one, Job) for one in merged.values()):
        raise PartlyRefused([*merged.values()])
    return [*merged.values()]


async def _driven(flow: Generator[Any, Any, R], send: Callable[[Any], Awaitable[Any]]) -> R:
    """Make the trips that a flow asks for."""
    step = next(flow)
    while True:
        try:
            try:
                answer = await send(step)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
        except StopIteration as done:
            return done.value


def _driven_sync(flow: Generator[Any, Any, R], send: Callable[[Any], Any]) -> R:
    """``_driven`` for blocking code."""
    step = next(flow)
    while True:
        try:
            try:
                answer = send(step)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
        except StopIteration as done:
            return done.value


def _outgoing(call: Call, url: str) -> Outgoing:
    options, declared = call.options, call.defaults
    return Outgoing(
        queue=options.get("queue", declared.queue),
        task=call.task,
        job_id=call.job_id,
        priority=options.get("priority", declared.priority),
        headers=options.get("headers", {}),
        url=url,
    )


def _carrying(call: Call, headers: Mapping[str, str]) -> Call:
    return _with(call, {"headers": headers})


def _later(call: Call, ms: int) -> Call:
    """A call that is due so much later than it says."""
    if not ms:
        return call
    run_at = call.options.get("run_at")
    if run_at is not None:
        return _with(call, {"run_at": run_at + timedelta(milliseconds=ms)})
    return _with(call, {"delay": seconds(call.options.get("delay", 0)) + ms / 1000})


def _with(call: Call, changes: Mapping[str, Any]) -> Call:
    options = cast("CallOptions", {**call.options, **changes})
    return msgspec.structs.replace(call, options=options)


def _status(outcome: object) -> str:
    return outcome.status if isinstance(outcome, Job) else "refused"


def _end(sending: Sending, statuses: list[str], error: BaseException | None = None) -> None:
    safely(lambda: sending.end(statuses, error))
