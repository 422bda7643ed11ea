"""The worker: builds the parts, starts them, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from rqueue.clock import monotonic
from rqueue.config import StoreConfig, WorkerConfig
from rqueue.durability import Durability
from rqueue.events import GroupsRestored, Observers, WorkerFenced
from rqueue.middleware import Middleware
from rqueue.registry import TaskRegistry
from rqueue.store.transport import AsyncTransport
from rqueue.worker.control import control
from rqueue.worker.executor import Executor
from rqueue.worker.fetcher import Fetcher
from rqueue.worker.finisher import Finisher
from rqueue.worker.heartbeat import Heartbeat, HeartbeatHooks
from rqueue.worker.lease import QueueLease
from rqueue.worker.lookout import lookout_of
from rqueue.worker.membership import Membership
from rqueue.worker.pulse import LOOP, Pulse
from rqueue.worker.runners import Runners
from rqueue.worker.running import Running
from rqueue.worker.servercheck import check_server, wants_fsync
from rqueue.worker.slots import Slots
from rqueue.worker.stopping import to_the_end

logger = logging.getLogger("rqueue")

_TICK_S = 0.2
_GIVE_BACK_S = 2.0
"""How long a worker tries to give back what did not end in time; without Redis it is in vain."""
_LAST_READ_S = 0.5
_LEAVE_S = 1.0

Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


class Equipment(Protocol):
    """What a worker takes from its app.

    Attributes:
        store: how Redis is reached.
        durability: what its producers are promised.
        tasks: what can be run.
        middlewares: around every execution; the first is the outermost.
        observers: who hears of what happens.
        lifespan: opens and closes the worker's resources; what it yields is ``ctx.state``.
    """

    store: StoreConfig
    durability: Durability
    tasks: TaskRegistry
    middlewares: list[Middleware]
    observers: Observers
    lifespan: Lifespan | None


class Worker:
    """One worker process's work, in the running event loop.

    Args:
        app: whose tasks it runs.
        config: what this worker does; by default, 100 jobs at a time of the queue ``default``.
        name: how its ids begin; a supervisor knows its children by it.
    """

    def __init__(self, app: Equipment, config: WorkerConfig | None = None, name: str = "") -> None:
        config = config or WorkerConfig()
        self._app = app
        self._config = config
        transport = self._transport = AsyncTransport(app.store)
        observers = app.observers
        self._pulse = Pulse()
        self._slots = Slots(config.concurrency)
        self._runners = Runners(config.concurrency, config.process_slots)
        self._executor = Executor(app.tasks, app.middlewares, self._runners, observers, app.store)
        self._finisher = Finisher(transport, self._pulse)
        self._running = Running(
            self._executor, self._finisher, self._slots, observers, self._on_fenced
        )
        self._membership = Membership(transport, app.store, config, name)
        self._fetcher = Fetcher(
            transport, config, self._membership, self._running, self._finisher, self._pulse
        )
        # The next suspect waits for this one; a read that left its lane out must not sleep on.
        self._slots.on_suspect_ended = self._fetcher.kick
        hooks = HeartbeatHooks(
            fenced=self._on_fenced, cancel=self._running.stop_job, name_of=self._running.name_of
        )
        self._heartbeat = Heartbeat(
            app.store, config, self._pulse, observers, hooks, lookout_of(app)
        )
        self._membership.on_joined = self._heartbeat.hold
        self._membership.on_restored = lambda lease: observers.emit(
            GroupsRestored(queue=lease.queue, worker=lease.worker)
        )
        self._release_now = asyncio.Event()
        self._told_to_stop = asyncio.Event()
        self._rejoining: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self.ready = asyncio.Event()
        """Set when the worker has joined its queues and fetches."""

    def stop(self) -> None:
        """First call: fetch nothing more, let jobs end for ``grace``; second: give all back."""
        if self._is_stopping:
            self._release_now.set()
        self._is_stopping = True
        self._told_to_stop.set()
        self._fetcher.stop()

    @property
    def worker_ids(self) -> list[str]:
        """The present ids of this worker, one for each queue unless one was fenced alone."""
        return sorted({lease.worker for lease in self._membership})

    async def run(self) -> bool:
        """Work until stopped (or, in a burst, until the queues are empty).

        Returns:
            Whether every job that was begun also ended; False when some had to be given back.

        Raises:
            ConfigError: the server would break a promise, and ``force`` is not set; or nothing
                lifts calls of an older version of a task.
        """
        self._app.tasks.check_upgrades()
        async with self._resources() as state:
            self._executor.state = state
            try:
                force, durable = self._config.force, wants_fsync(self._app)
                await check_server(self._transport, force=force, wants_fsync=durable)
                await self._membership.join_all()
                self._heartbeat.start()
                return await self._work()
            finally:
                await to_the_end(self._end())

    async def _end(self) -> None:
        self._is_stopping = True
        await asyncio.to_thread(self._heartbeat.stop)
        await self._leave()
        self._executor.close()
        await asyncio.to_thread(self._runners.close)
        await self._transport.close()

    async def _work(self) -> bool:
        """Fetch until stopped; the duties go on until everything in hand is settled."""
        listen = control(self._transport, self._membership, self._running, self._fetcher.kick)
        duties = [
            asyncio.create_task(listen.run(), name="rqueue-control"),
            asyncio.create_task(self._tick(), name="rqueue-tick"),
        ]
        fetching = asyncio.create_task(self._fetcher.run(), name="rqueue-fetch")
        told = asyncio.create_task(self._told_to_stop.wait())
        self.ready.set()
        try:
            # The grace begins with the signal, also when a trip of the fetcher goes on in vain.
            await asyncio.wait({fetching, told, *duties}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (task for task in (*duties, fetching) if task.done()):
                ended.result()  # a duty never ends by itself: raise why
            return await self._finish_up(fetching)
        except BaseException:
            # Cancelled, or a part failed: what runs goes back, or it would count as crashed.
            self._is_stopping = True
            self._fetcher.stop()
            self._running.stop_all()
            # What a read still brings is given back, before the lease is given up.
            await asyncio.wait({fetching}, timeout=self._config.lease.lease_s)
            await self._running.wait(self._config.lease.lease_s)
            await self._finisher.drain(self._config.lease.lease_s)
            raise
        finally:
            self._fetcher.stop()
            try:
                await asyncio.wait({fetching}, timeout=_LAST_READ_S)
            finally:  # also when cancelled here
                for task in (fetching, told, *duties, *self._rejoining):
                    task.cancel()
            await asyncio.gather(fetching, told, *duties, return_exceptions=True)

    async def _finish_up(self, fetching: asyncio.Task[None]) -> bool:
        """Let jobs end for ``grace``, then give the rest back at once."""
        ended = asyncio.create_task(self._all_ended(fetching))
        second = asyncio.create_task(self._release_now.wait())
        try:
            await asyncio.wait({ended, second}, return_when=asyncio.FIRST_COMPLETED)
            is_clean = ended.done() and ended.result()
        finally:  # also when cancelled here: nobody else would end them
            ended.cancel()
            second.cancel()
        if not is_clean:
            count = self._running.stop_all()
            logger.warning("gives back jobs=%d", count)
        deadline = monotonic() + _GIVE_BACK_S
        await self._running.wait(_GIVE_BACK_S)
        return await self._finisher.drain(max(0.0, deadline - monotonic())) and is_clean

    async def _all_ended(self, fetching: asyncio.Task[None]) -> bool:
        """Wait until nothing is fetched and nothing runs any more; False when grace is over."""
        deadline = monotonic() + self._config.grace_s
        await asyncio.wait({fetching}, timeout=self._config.grace_s)
        return await self._running.wait(max(0.0, deadline - monotonic()))

    async def _leave(self) -> None:
        """Give up the leases; without Redis they end by themselves, which costs the others time."""
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._membership.leave_all()
        except TimeoutError:
            logger.warning("left without a word: Redis did not answer")

    async def _tick(self) -> None:
        try:
            while True:
                self._pulse.beat(LOOP)
                await asyncio.sleep(_TICK_S)
        finally:
            self._pulse.end(LOOP)

    def _on_fenced(self, lease: QueueLease) -> None:
        if lease.is_let_go:
            return
        lease.is_let_go = True
        lease.is_fenced = True
        lease.changed.set()
        stopped = self._running.stop_queue(lease)
        self._fetcher.kick()  # a read under the old name would take what it cannot run
        logger.error(
            "fenced worker=%s queue=%s: %d jobs stopped; they run elsewhere. It comes back under "
            "a new name", lease.worker, lease.queue, stopped,
        )  # fmt: skip
        self._app.observers.emit(WorkerFenced(queue=lease.queue, worker=lease.worker, jobs=stopped))
        if not self._is_stopping:
            rejoining = asyncio.create_task(self._rejoin(lease), name="rqueue-rejoin")
            self._rejoining.add(rejoining)
            rejoining.add_done_callback(self._rejoining.discard)

    async def _rejoin(self, lease: QueueLease) -> None:
        while not self._is_stopping:
            try:
                await self._membership.rejoin(lease)
            except Exception as error:  # whatever it is, without a lease nothing can be done
                logger.warning("cannot join queue=%s: %s", lease.queue, error)
                await asyncio.sleep(1.0)
            else:
                self._fetcher.kick()
                return

    @asynccontextmanager
    async def _resources(self) -> AsyncGenerator[Any]:
        async with contextlib.AsyncExitStack() as stack:
            lifespan = self._app.lifespan
            yield None if lifespan is None else await stack.enter_async_context(lifespan())
