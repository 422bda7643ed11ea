"""The workers that are there: who they are, what is asked of them, what they are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from rqueue.client.connections import Connections
from rqueue.clock import monotonic
from rqueue.config import StoreConfig
from rqueue.errors import WorkerNotFound, WorkerSilent
from rqueue.ids import new_id, shorten
from rqueue.inspection import opened, workers
from rqueue.names import check_queue
from rqueue.store.call import Flow
from rqueue.store.calls import workers as calls
from rqueue.store.calls.leases import leases
from rqueue.store.keys import QueueKeys, queue_keys

_SILENT = (
    "worker {} did not answer within {:g} s. It may be dead, frozen or cut off from Redis; on its "
    "machine, kill -USR1 makes it print its stacks"
)
Order = Literal["stop", "quiet"]
_OBEYING: Mapping[Order, Collection[str]] = {"stop": ("stopping",), "quiet": ("quiet", "stopping")}
ANSWER_S = 5.0
"""For how long an answer is waited for; a worker whose event loop is blocked needs a second."""
_FIRST_LOOK_S = 0.01
_LONGEST_PAUSE_S = 0.2
_ASK_AGAIN = 8
"""In so many looks: a worker that was just cut off has not heard it."""


class Workers:
    """The workers that are there, for async code: ``app.workers``.

    ``show`` and ``stacks`` raise ``WorkerNotFound``, and ``WorkerSilent`` when no answer comes.
    """

    def __init__(self, config: StoreConfig, connections: Connections) -> None:
        self._namespace = config.namespace
        self._connections = connections

    async def list(self) -> dict[str, dict[str, Any]]:
        """Every worker that introduced itself, and what it said."""
        return await self._run(workers(self._namespace))

    async def stop(self, worker: str, timeout: float = ANSWER_S) -> bool:
        """Tell a worker to stop, as SIGTERM does; whether it says that it does, in ``timeout``."""
        return await self._order(worker, "stop", timeout)

    async def quiet(self, worker: str, timeout: float = ANSWER_S) -> bool:
        """Tell a worker to take no more jobs, and to stay; whether it says so, in ``timeout``."""
        return await self._order(worker, "quiet", timeout)

    async def show(self, worker: str, timeout: float = ANSWER_S) -> dict[str, Any]:
        """How a worker fares: its state, slots, memory in bytes, and the jobs that it runs."""
        return await self._ask(worker, "show", timeout)

    async def stacks(self, worker: str, timeout: float = ANSWER_S) -> str:
        """Where the threads and the asyncio tasks of a worker are; also while it is blocked."""
        return (await self._ask(worker, "stacks", timeout)).get("stacks", "")

    async def _order(self, worker: str, order: Order, timeout: float) -> bool:
        if not await self._run(_told(self._namespace, worker, order)):
            return False
        for turn, pause in enumerate(_pauses(timeout), 1):
            if await self._run(_obeys(self._namespace, worker, order)):
                return True
            await asyncio.sleep(pause)
            if turn % _ASK_AGAIN == 0:
                await self._run(_told(self._namespace, worker, order))
        return False

    async def _ask(self, worker: str, what: str, timeout: float) -> dict[str, Any]:
        token = shorten(new_id())
        keys: QueueKeys = await self._run(_asked(self._namespace, worker, what, token))
        for turn, pause in enumerate(_pauses(timeout), 1):
            await asyncio.sleep(pause)
            said: bytes | None = await self._run(_answered(keys, token))
            if said is not None:
                return opened(said)
            if turn % _ASK_AGAIN == 0:
                await self._run(_asked(self._namespace, worker, what, token))
        raise WorkerSilent(_SILENT.format(worker, timeout))

    async def _run(self, flow: Flow[Any]) -> Any:
        return await self._connections.here().transport.run(flow)


class BlockingWorkers:
    """The workers that are there, for blocking code: ``app.workers_sync``."""

    def __init__(self, config: StoreConfig, connections: Connections) -> None:
        self._namespace = config.namespace
        self._connections = connections

    def list(self) -> dict[str, dict[str, Any]]:
        """Every worker that introduced itself, and what it said."""
        return self._run(workers(self._namespace))

    def stop(self, worker: str, timeout: float = ANSWER_S) -> bool:
        """Tell a worker to stop, as SIGTERM does; whether it says that it does, in ``timeout``."""
        return self._order(worker, "stop", timeout)

    def quiet(self, worker: str, timeout: float = ANSWER_S) -> bool:
        """Tell a worker to take no more jobs, and to stay; whether it says so, in ``timeout``."""
        return self._order(worker, "quiet", timeout)

    def show(self, worker: str, timeout: float = ANSWER_S) -> dict[str, Any]:
        """How a worker fares: its state, slots, memory in bytes, and the jobs that it runs."""
        return self._ask(worker, "show", timeout)

    def stacks(self, worker: str, timeout: float = ANSWER_S) -> str:
        """Where the threads and the asyncio tasks of a worker are; also while it is blocked."""
        return self._ask(worker, "stacks", timeout).get("stacks", "")

    def _order(self, worker: str, order: Order, timeout: float) -> bool:
        if not self._run(_told(self._namespace, worker, order)):
            return False
        for turn, pause in enumerate(_pauses(timeout), 1):
            if self._run(_obeys(self._namespace, worker, order)):
                return True
            time.sleep(pause)
            if turn % _ASK_AGAIN == 0:
                self._run(_told(self._namespace, worker, order))
        return False

    def _ask(self, worker: str, what: str, timeout: float) -> dict[str, Any]:
        token = shorten(new_id())
        keys: QueueKeys = self._run(_asked(self._namespace, worker, what, token))
        for turn, pause in enumerate(_pauses(timeout), 1):
            time.sleep(pause)
            said: bytes | None = self._run(_answered(keys, token))
            if said is not None:
                return opened(said)
            if turn % _ASK_AGAIN == 0:
                self._run(_asked(self._namespace, worker, what, token))
        raise WorkerSilent(_SILENT.format(worker, timeout))

    def _run(self, flow: Flow[Any]) -> Any:
        return self._connections.blocking().run(flow)


def not_found(worker: str, namespace: str, known: Sequence[str]) -> WorkerNotFound:
    """The error that tells which workers there are."""
    there = f"there are {', '.join(known)}" if known else "there are none"
    return WorkerNotFound(f"no worker {worker!r} in namespace {namespace!r}; {there}")


def _told(namespace: str, worker: str, order: Order) -> Flow[bool]:
    """Tell it; False if it is not alive."""
    is_alive = False
    for keys in (yield from _served(namespace, worker)):
        standing: dict[str, float] = yield leases(keys)
        if worker in standing:
            is_alive = True
            yield calls.tell(keys, worker, order)
    return is_alive


def _obeys(namespace: str, worker: str, order: Order) -> Flow[bool]:
    """Whether it says so itself, or has gone: others hear its channel as well."""
    cards: dict[str, dict[str, Any]] = yield from workers(namespace)
    card = cards.get(worker)
    return card is None or card.get("state") in _OBEYING[order]


def _asked(namespace: str, worker: str, what: str, token: str) -> Flow[QueueKeys]:
    """Ask it, and tell in which queue's keys the answer will be."""
    served: list[QueueKeys] = yield from _served(namespace, worker)
    if not served:
        raise not_found(worker, namespace, list((yield from workers(namespace))))
    yield calls.ask(served[0], worker, what, token)
    return served[0]


def _answered(keys: QueueKeys, token: str) -> Flow[bytes | None]:
    return (yield calls.answered(keys, token))


def _served(namespace: str, worker: str) -> Flow[list[QueueKeys]]:
    """The queues that a worker says it serves."""
    cards: dict[str, dict[str, Any]] = yield from workers(namespace)
    named = cards.get(worker, {}).get("queues")
    names = cast("list[Any]", named) if isinstance(named, list) else []
    return [queue_keys(namespace, check_queue(str(one))) for one in names]


def _pauses(timeout: float) -> Iterator[float]:
    """Before each look at what was answered: longer and longer, until time is over."""
    end, pause = monotonic() + timeout, _FIRST_LOOK_S
    while monotonic() < end:
        yield pause
        pause = min(_LONGEST_PAUSE_S, pause * 1.5)
