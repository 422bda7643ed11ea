"""The worker: builds the parts, starts them, stops them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from rqueue.clock import monotonic
from rqueue.config import WorkerConfig
from rqueue.store.transport import AsyncTransport
from rqueue.worker import trips
from rqueue.worker.attempt import name_of
from rqueue.worker.bearings import Bearings
from rqueue.worker.bookkeeper import Bookkeeper
from rqueue.worker.control import Orders, control
from rqueue.worker.equipment import Equipment, opened
from rqueue.worker.executor import Executor
from rqueue.worker.fencing import Fencing
from rqueue.worker.fetcher import Fetcher
from rqueue.worker.finisher import Finisher
from rqueue.worker.health import Health
from rqueue.worker.heartbeat import Heartbeat, HeartbeatHooks
from rqueue.worker.insight import Insight
from rqueue.worker.joining import Joining
from rqueue.worker.lease import QueueLease
from rqueue.worker.lookout import lookout_of
from rqueue.worker.membership import Membership
from rqueue.worker.pulse import LOOP, TICK_S, Pulse
from rqueue.worker.readings import Readings
from rqueue.worker.recorder import Recorder
from rqueue.worker.recycling import MAX_MEMORY, Recycling
from rqueue.worker.runners import Runners
from rqueue.worker.running import Running
from rqueue.worker.servercheck import check_server, wants_fsync
from rqueue.worker.service import ServiceLoop
from rqueue.worker.slots import Slots
from rqueue.worker.stopping import Stops, to_the_end
from rqueue.worker.winding import is_stuck, wind_up

logger = logging.getLogger("rqueue")

_LAST_READ_S = 0.5
_LEAVE_S = 1.0


class Worker:
    """One worker process's work, in the running event loop.

    Args:
        app: whose tasks it runs.
        config: what this worker does; by default, 100 jobs at a time of the queue ``default``.
        name: how its ids begin; a supervisor knows its children by it.

    Attributes:
        ready: set when it has joined its queues and fetches.
    """

    def __init__(self, app: Equipment, config: WorkerConfig | None = None, name: str = "") -> None:
        self._app = app
        self._config = config = config or WorkerConfig()
        transport = self._transport = AsyncTransport(app.store)
        observers = app.observers
        self._pulse = Pulse()
        self._slots = Slots(config.concurrency)
        self._runners = Runners(config.concurrency, config.process_slots)
        self._executor = Executor(app.tasks, app.middlewares, self._runners, observers, app.store)
        self.recorder = Recorder(config.buckets, app.tasks.has)
        self._finisher = Finisher(transport, self._pulse, self.recorder.write_down)
        transport.counter = trips.of_loop(self.recorder.tally)
        self.recycling = Recycling(self.recorder.tally, config.max_jobs, config.max_memory)
        self._running = Running(
            self._executor, self._finisher, self._slots, observers, self._on_fenced, self.recorder
        )
        self._membership = Membership(transport, app.store, config, name)
        self._bookkeeper = Bookkeeper(transport, app.store, self.recorder, self._membership.peers)
        self._stops = Stops(config.grace_s)
        self._joining = Joining(config, self._check, self._membership.join_all, self._stops)
        self._fencing = Fencing(self._membership, self._running, observers, self._stops)
        self._fetcher = Fetcher(
            transport, config, self._membership, self._running, self._finisher, self._pulse
        )
        # The next suspect waits for this one; a read that left its lane out must not sleep on.
        self._slots.on_suspect_ended = self._fetcher.kick
        self.insight = Insight(
            self.recorder, self._running, self._runners, self._pulse, lambda: self.state
        )
        self._heartbeat = Heartbeat(
            app.store, config, self._pulse, observers, self._hooks(), lookout_of(app)
        )
        self._membership.on_joined = self._heartbeat.hold
        self._membership.on_restored = self._fencing.on_restored
        self._errands: set[asyncio.Task[None]] = set()
        self._is_quiet = False
        self.ready = asyncio.Event()
        self.health = self._health()

    def _health(self) -> Health:
        return Health(
            self._pulse,
            self.ready,
            self._joining,
            state=lambda: self.state,
            is_cut_off=lambda: self._fetcher.is_cut_off,
            patience_s=self._config.lease.lease_s,
        )

    def _hooks(self) -> HeartbeatHooks:
        return HeartbeatHooks(
            fenced=self._on_fenced,
            cancel=self._running.stop_job,
            name_of=lambda work: name_of(self._running.attempts(), work),
            answered=Bearings(self.recorder).take,
            stalled=self.insight.questions.look,
            trips=trips.of_heartbeat(self.recorder.tally),
        )

    def _orders(self) -> Orders:
        hear, transport = self.insight.questions.hear, self._transport
        return Orders(
            kick=self._fetcher.kick,
            stop=self._told_to_end,
            quiet=self.quiet,
            ask=lambda keys, asked: self._send_off(hear(transport, keys, asked)),
        )

    def stop(self) -> None:
        """First call: fetch nothing more, let jobs end for ``grace``; second: give all back."""
        self._stops.tell()
        self._take_no_more()

    def _take_no_more(self) -> None:
        """End when all that runs has ended, however long that takes."""
        self._stops.takes_no_more.set()
        self._declare()
        self._fetcher.stop()

    def _retire(self) -> None:
        """It has done enough. For memory nobody can wait long, nor for threads that are stuck."""
        if self._is_quiet:
            return
        if self.recycling.reached == MAX_MEMORY or is_stuck(self._running, self._runners.stuck):
            self._stops.run_out()
        if not self._stops.is_ending:
            self._take_no_more()

    def _told_to_end(self) -> None:
        """Somebody elsewhere wants it to stop; the first signal after that is no second one."""
        if not self._stops.is_timed:
            logger.info("told from elsewhere to stop: takes no more jobs")
            self._stops.run_out()
            self._take_no_more()

    def quiet(self) -> None:
        """Take no more jobs, and stay: somebody looks into it, or it is to be stopped later."""
        if self._config.burst:  # there would be no end of it
            self._take_no_more()
        elif not (self._is_quiet or self._stops.is_ending):
            logger.info("told to be quiet: takes no more jobs")
            self._is_quiet = True
            self._slots.close()
            self._fetcher.kick()
            self._declare()

    @property
    def state(self) -> str:
        """``working``, ``quiet`` or ``stopping``."""
        return "stopping" if self._stops.is_ending else "quiet" if self._is_quiet else "working"

    def _declare(self) -> None:
        if self.ready.is_set():
            self._send_off(self._membership.declare(self.state))

    def _send_off(self, errand: Coroutine[Any, Any, None]) -> None:
        """Run it beside all else; nobody waits for it."""
        task = asyncio.get_running_loop().create_task(errand, name="rqueue-errand")
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    @property
    def worker_ids(self) -> list[str]:
        """The present ids of this worker, one for each queue unless one was fenced alone."""
        return sorted({lease.worker for lease in self._membership})

    @property
    def in_hand(self) -> int:
        """Jobs that are not settled yet."""
        return len(self._running)

    def readings(self) -> Readings:
        """What it has counted, and how things stand; any thread may ask."""
        return self.insight.readings()

    async def run(self) -> bool:
        """Work until stopped (or, in a burst, until the queues are empty), once Redis answers.

        Returns:
            Whether every job that was begun also ended; False when some had to be given back.

        Raises:
            ConfigError: the server would break a promise, and ``force`` is not set; or nothing
                lifts calls of an older version of a task.
            StoreError: the server refuses us; in a burst also: it does not answer.
        """
        self._app.tasks.check_upgrades()
        self.insight.loop = asyncio.get_running_loop()
        async with opened(self._app.lifespan) as state:
            self._executor.state = state
            self._app.observers.overhear(self.recorder)
            ticking = asyncio.create_task(self._tick(), name="rqueue-tick")
            try:
                if not await self._joining.run():
                    return True
                return await self._work(ticking)
            finally:
                ticking.cancel()
                try:
                    await to_the_end(self._end())
                finally:
                    self._app.observers.leave(self.recorder)

    async def _check(self) -> None:
        force, durable = self._config.force, wants_fsync(self._app)
        said = self._joining.said
        await check_server(self._transport, force=force, wants_fsync=durable, said=said)

    async def _end(self) -> None:
        self._stops.takes_no_more.set()
        await asyncio.to_thread(self._heartbeat.stop)
        await self._leave()
        self._executor.close()
        await asyncio.to_thread(self._runners.close)
        await self._transport.close()

    async def _work(self, ticking: asyncio.Task[None]) -> bool:
        """Fetch until stopped; the duties go on until everything in hand is settled."""
        listen = control(self._transport, self._membership, self._running, self._orders())
        duties = [ticking, asyncio.create_task(listen.run(), name="rqueue-control")]
        if self._config.history:
            keeping = ServiceLoop(self._bookkeeper).run()
            duties.append(asyncio.create_task(keeping, name="rqueue-bookkeeper"))
        fetching = asyncio.create_task(self._fetcher.run(), name="rqueue-fetch")
        told = asyncio.create_task(self._stops.takes_no_more.wait())
        self.ready.set()
        try:
            # The grace begins with the signal, also when a trip of the fetcher goes on in vain.
            await asyncio.wait({fetching, told, *duties}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (task for task in (*duties, fetching) if task.done()):
                ended.result()  # a duty never ends by itself: raise why
            return await wind_up(fetching, self._running, self._finisher, self._stops)
        except BaseException:
            # Cancelled, or a part failed: what runs goes back, or it would count as crashed.
            self._stops.takes_no_more.set()
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
                for task in (fetching, told, *duties, *self._errands):
                    task.cancel()
                self._fencing.close()
            await asyncio.gather(fetching, told, *duties, return_exceptions=True)

    def _on_fenced(self, lease: QueueLease) -> None:
        self._fencing.on_fenced(lease, self._fetcher)

    async def _leave(self) -> None:
        """Give up the leases; without Redis they end by themselves, which costs the others time.

        Then book what is counted; without Redis it is lost, and not waited for once more.
        """
        left_s = _LEAVE_S
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._membership.leave_all()
        except TimeoutError:
            logger.warning("left without a word: Redis did not answer")
            left_s = 0.0
        if self._config.history:
            await self._bookkeeper.end(left_s)

    async def _tick(self) -> None:
        try:
            while True:
                self._pulse.beat(LOOP)
                began = monotonic()
                await asyncio.sleep(TICK_S)
                self.recorder.lagged(max(0.0, monotonic() - began - TICK_S))
                if self.recycling.is_due():
                    self._retire()
        finally:
            self._pulse.end(LOOP)
