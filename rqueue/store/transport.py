"""Makes the trips: one transport for blocking code, one for an event loop, alike line by line."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol, TypeVar, cast

from rqueue.clock import monotonic
from rqueue.config import StoreConfig
from rqueue.errors import StoreError
from rqueue.ids import new_id, shorten
from rqueue.store.blocking import BlockingWires
from rqueue.store.call import Call, Flow
from rqueue.store.connection import (
    LOST,
    REFUSED,
    TROUBLE,
    answer,
    answers,
    async_pool,
    blocking_pool,
    is_passing,
    pack,
    pack_sources,
    pauses,
    problem_of,
    translate,
    unmade,
)
from rqueue.store.keys import client_channel
from rqueue.store.wire import Wire
from rqueue.store.wires import Wires

T = TypeVar("T")
_WAIT_S = attrgetter("wait_s")


class TripCounter(Protocol):
    """Who hears of every trip; called in whatever thread makes it."""

    def made(self, call: Call[Any], seconds: float) -> None:
        """Redis has answered; told by the first call of the trip."""
        ...

    def failed(self, error: BaseException) -> None:
        """A trip has failed; it may be made again."""
        ...


class Transport:
    """Trips of blocking code. Safe to share between threads; makes new connections after a fork.

    Args:
        config: how Redis is reached.
    """

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.counter: TripCounter | None = None
        self._begin()

    def send(self, call: Call[T], retry_s: float | None = None) -> T:
        """Make one trip; raises ``StoreError``."""
        began = monotonic()
        try:
            (reply,) = self._exchange((call,))
            told = answer(call, reply, repeated=False)
        except TROUBLE as error:
            return (self._again((call,), error, began, retry_s))[0]
        except StoreError as error:
            self._note(error)
            raise
        if self.counter is not None:
            self.counter.made(call, monotonic() - began)
        return told

    def send_many(self, calls: Sequence[Call[T]], retry_s: float | None = None) -> list[T]:
        """Make several trips as one pipeline.

        A lost answer is asked for again if every call is repeatable, for at most ``retry_s``
        seconds or, if that is shorter, as long as the settings say.
        """
        if not calls:
            return []
        began = monotonic()
        try:
            told = answers(calls, self._exchange(calls))
        except TROUBLE as error:
            return self._again(calls, error, began, retry_s)
        except StoreError as error:
            self._note(error)
            raise
        if self.counter is not None:
            self.counter.made(calls[0], monotonic() - began)
        return told

    def run(self, flow: Flow[T]) -> T:
        """Make the trips of a flow, one after the other."""
        try:
            step = next(flow)
            while True:
                got = self.send(step) if isinstance(step, Call) else self.send_many(step)
                step = flow.send(got)
        except StopIteration as end:
            return cast("T", end.value)

    @property
    def channel(self) -> str:
        """Where this process hears of jobs that ended.

        One for all its waits, so that the lists of those who wait do not grow with every look.
        """
        if not self._channel:
            self._channel = client_channel(self.config.namespace, shorten(new_id()))
        return self._channel

    def close(self) -> None:
        """Close every connection."""
        self._wires.close()

    def _again(
        self, calls: Sequence[Call[Any]], error: BaseException, began: float, retry_s: float | None
    ) -> list[Any]:
        self._note(error)
        longest_s = self.config.retry_s if retry_s is None else min(self.config.retry_s, retry_s)
        waits = pauses(longest_s, began)
        while is_passing(calls, error) and (pause := next(waits, None)) is not None:
            time.sleep(pause)
            try:
                return answers(calls, self._exchange(calls), repeated=True)
            except TROUBLE as failure:
                error = failure
                self._note(error)
            except StoreError as failure:
                self._note(failure)
                raise
        raise problem_of(error) from error

    def _exchange(self, calls: Sequence[Call[Any]]) -> list[Any]:
        if os.getpid() != self._pid:
            self._begin()
        wait_s = max(map(_WAIT_S, calls))
        patience_s = self.config.timeout_s + wait_s
        with self._wires.own() as wire:
            replies = wire.exchange(pack(calls), len(calls), patience_s)
            again = unmade(calls, replies)
            if again:
                sources = pack_sources([calls[n] for n in again])
                made = wire.exchange(sources, len(again), patience_s)
                for n, reply in zip(again, made, strict=True):
                    replies[n] = reply
        return replies

    def _note(self, error: BaseException) -> None:
        if self.counter is not None:
            self.counter.failed(error)

    def _begin(self) -> None:
        """Start without connections: what was there at a fork is the parent's."""
        self._pid = os.getpid()
        self._wires = BlockingWires(blocking_pool(self.config))
        self._channel = ""


class AsyncTransport:
    """Trips of one event loop.

    Args:
        config: how Redis is reached.
    """

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.counter: TripCounter | None = None
        self._pool = async_pool(config)
        self._wires = Wires(self._pool)

    async def send(self, call: Call[T], retry_s: float | None = None) -> T:
        """Make one trip; raises ``StoreError``."""
        began = monotonic()
        try:
            (reply,) = await self._exchange((call,))
            told = answer(call, reply, repeated=False)
        except TROUBLE as error:
            return (await self._again((call,), error, began, retry_s))[0]
        except StoreError as error:
            self._note(error)
            raise
        if self.counter is not None:
            self.counter.made(call, monotonic() - began)
        return told

    async def send_many(self, calls: Sequence[Call[T]], retry_s: float | None = None) -> list[T]:
        """Make several trips as one pipeline.

        A lost answer is asked for again if every call is repeatable, for at most ``retry_s``
        seconds or, if that is shorter, as long as the settings say.
        """
        if not calls:
            return []
        began = monotonic()
        try:
            told = answers(calls, await self._exchange(calls))
        except TROUBLE as error:
            return await self._again(calls, error, began, retry_s)
        except StoreError as error:
            self._note(error)
            raise
        if self.counter is not None:
            self.counter.made(calls[0], monotonic() - began)
        return told

    async def run(self, flow: Flow[T]) -> T:
        """Make the trips of a flow, one after the other."""
        try:
            step = next(flow)
            while True:
                got = await (self.send(step) if isinstance(step, Call) else self.send_many(step))
                step = flow.send(got)
        except StopIteration as end:
            return cast("T", end.value)

    async def connect(self, on_message: Callable[[list[Any]], None] | None = None) -> Wire:
        """A connection of the caller's own; raises ``StoreError``."""
        try:
            return await self._wires.connect(on_message)
        except (*LOST, REFUSED) as error:
            raise translate(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._wires.close()
        await self._pool.disconnect()

    async def _again(
        self, calls: Sequence[Call[Any]], error: BaseException, began: float, retry_s: float | None
    ) -> list[Any]:
        self._note(error)
        longest_s = self.config.retry_s if retry_s is None else min(self.config.retry_s, retry_s)
        waits = pauses(longest_s, began)
        while is_passing(calls, error) and (pause := next(waits, None)) is not None:
            await asyncio.sleep(pause)
            try:
                return answers(calls, await self._exchange(calls), repeated=True)
            except TROUBLE as failure:
                error = failure
                self._note(error)
            except StoreError as failure:
                self._note(failure)
                raise
        raise problem_of(error) from error

    def _note(self, error: BaseException) -> None:
        if self.counter is not None:
            self.counter.failed(error)

    def _exchange(self, calls: Sequence[Call[Any]]) -> Awaitable[list[Any]]:
        wait_s, wire = max(map(_WAIT_S, calls)), self._wires.open
        if wait_s or wire is None:
            return self._exchange_on_another(calls, wait_s)
        return _exchange(wire, calls, self.config.timeout_s)

    async def _exchange_on_another(self, calls: Sequence[Call[Any]], wait_s: float) -> list[Any]:
        """Over a wire that must be had first: of its own, for what makes its connection wait."""
        if wait_s:
            async with self._wires.own() as wire:
                return await _exchange(wire, calls, self.config.timeout_s + wait_s)
        return await _exchange(await self._wires.shared(), calls, self.config.timeout_s)


async def _exchange(wire: Wire, calls: Sequence[Call[Any]], patience_s: float) -> list[Any]:
    replies = await wire.exchange(pack(calls), len(calls), patience_s)
    again = unmade(calls, replies)
    if again:
        sources = pack_sources([calls[n] for n in again])
        made = await wire.exchange(sources, len(again), patience_s)
        for n, reply in zip(again, made, strict=True):
            replies[n] = reply
    return replies
