"""The scheduler: promotes, reaps and prunes for every queue. Any number may run; none leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Protocol

import msgspec

from rqueue.clock import monotonic
from rqueue.config import LeaseConfig, StoreConfig
from rqueue.declaring import DeclaredSchedule
from rqueue.errors import StoreError
from rqueue.events import Observers
from rqueue.store.calls.queues import queues
from rqueue.store.keys import QueueKeys, every_wake, queue_keys
from rqueue.store.subscription import Subscription
from rqueue.store.transport import AsyncTransport, Transport
from rqueue.worker.declarer import declarers
from rqueue.worker.health import SchedulerHealth
from rqueue.worker.lookout import Lookout, lookout_of
from rqueue.worker.promoter import Promoter
from rqueue.worker.pruner import Pruner
from rqueue.worker.pulse import LOOP, REAPER, Pulse
from rqueue.worker.reaper import Reaper
from rqueue.worker.servercheck import check_server
from rqueue.worker.service import ServiceLoop
from rqueue.worker.stopping import to_the_end, unless
from rqueue.worker.ticker import Ticker

logger = logging.getLogger("rqueue")

DISCOVER_S = 30.0
"""How often a scheduler looks for new queues that it was not told of."""
_TICK_S = 1.0
_LONGEST_PAUSE_S = 10.0
"""Of the thread that looks at leases: whoever asks wants to see it turn."""
_BETWEEN_LOOKS_S = 1.0
"""Between two looks at the least: whoever may publish must not make it ask without end."""


class Owner(Protocol):
    """What a scheduler takes from its app.

    Attributes:
        store: how Redis is reached.
        observers: who hears of promoted jobs, ticks and reaped workers.
    """

    store: StoreConfig
    observers: Observers

    def schedules_by_queue(self) -> Mapping[str, Mapping[str, DeclaredSchedule]]:
        """The schedules in its code."""
        ...


class Scheduler:
    """The duties of all queues in one process.

    Args:
        app: whose Redis and namespace it serves.
        names: only these queues; none = every queue that was ever written, new ones included.
        lease: the workers' lease, which says when one is dead.
        force: run on a server that would break a promise, with a warning.
    """

    def __init__(
        self,
        app: Owner,
        names: Sequence[str] = (),
        lease: LeaseConfig | None = None,
        *,
        force: bool = False,
    ) -> None:
        self._store = app.store
        self._observers = app.observers
        self._names = names
        self._declared = app.schedules_by_queue
        self._lease = lease or LeaseConfig()
        self._transport = AsyncTransport(app.store)
        self._force = force
        self._is_checked = False
        self._stop = asyncio.Event()
        self._known: dict[str, asyncio.Task[None]] = {}
        self._timed: dict[str, tuple[ServiceLoop, ServiceLoop]] = {}
        self._news = asyncio.Event()
        self._pulse = Pulse()
        self._reaping = _Reaping(
            app.store, self._lease, app.observers, lookout_of(app), self._pulse
        )
        self.ready = asyncio.Event()
        """Set when every queue known at the start is served."""
        self.health = SchedulerHealth(
            self._pulse,
            lambda: bool(self._known),
            self.ready,
            self._stop.is_set,
            patience_s=self._lease.lease_s,
        )

    def stop(self) -> None:
        """End ``run``."""
        self._stop.set()
        self._news.set()

    async def run(self) -> None:
        """Serve every queue until stopped.

        Raises:
            ConfigError: the server would break a promise, and ``force`` is not set.
        """
        self._reaping.start()
        pattern = every_wake(self._store.namespace)
        subscription = Subscription(self._transport, [pattern], self._wake, self._wake_all)
        self._keep("", asyncio.create_task(subscription.run(), name="rqueue-wake"))
        self._keep(LOOP, asyncio.create_task(self._tick(), name="rqueue-tick"))
        try:
            while not self._stop.is_set():
                self._news.clear()
                is_told = await unless(self._stop, self._discover())
                pause = DISCOVER_S if is_told else _BETWEEN_LOOKS_S
                self._raise_failed()
                await _wait(self._stop, _BETWEEN_LOOKS_S)
                await _wait(self._news, pause - _BETWEEN_LOOKS_S)
        finally:
            await to_the_end(self._end())

    async def _end(self) -> None:
        for serving in self._known.values():
            serving.cancel()
        await asyncio.gather(*self._known.values(), return_exceptions=True)
        await asyncio.to_thread(self._reaping.stop)
        await self._transport.close()

    async def _discover(self) -> bool:
        """Serve the queues that are new; False when Redis did not tell."""
        try:
            if not self._is_checked:
                await check_server(self._transport, force=self._force)
                self._is_checked = True
                self._declare()
            names = self._names or await self._transport.send(queues(self._store.namespace))
        except StoreError as error:
            logger.warning("scheduler: %s", error)
            return False
        for name in names:
            if name not in self._known:
                keys = queue_keys(self._store.namespace, name)
                serving = asyncio.create_task(self._serve(keys), name=f"rqueue-serve {name}")
                self._keep(name, serving)
                self._reaping.add(keys)
        self.ready.set()
        return True

    async def _tick(self) -> None:
        while True:
            self._pulse.beat(LOOP)
            await asyncio.sleep(_TICK_S)

    def _declare(self) -> None:
        served = {
            queue: declared
            for queue, declared in self._declared().items()
            if not self._names or queue in self._names
        }
        for declarer in declarers(self._transport, self._store, served):
            self._keep(declarer.name, asyncio.create_task(ServiceLoop(declarer).run()))

    def _keep(self, name: str, serving: asyncio.Task[None]) -> None:
        self._known[name] = serving
        serving.add_done_callback(lambda _: self._news.set())  # none ends by itself: it failed

    async def _serve(self, keys: QueueKeys) -> None:
        promoting = ServiceLoop(Promoter(self._transport, keys, self._observers))
        ticking = ServiceLoop(Ticker(self._transport, keys, self._store, self._observers))
        self._timed[keys.wake] = promoting, ticking
        pruning = ServiceLoop(Pruner(self._transport, keys))
        async with asyncio.TaskGroup() as group:
            group.create_task(promoting.run(), name=f"rqueue-promoter {keys.queue}")
            group.create_task(ticking.run(), name=f"rqueue-ticker {keys.queue}")
            group.create_task(pruning.run(), name=f"rqueue-pruner {keys.queue}")

    def _wake(self, channel: str, _due: str) -> None:
        if channel in self._timed:
            for one in self._timed[channel]:
                one.kick()
        elif not self._names:
            self._news.set()  # of a queue that is new

    def _wake_all(self) -> None:
        """The subscription stands (again): wake-ups may have been lost."""
        self._news.set()
        for one in chain.from_iterable(self._timed.values()):
            one.kick()

    def _raise_failed(self) -> None:
        for serving in self._known.values():
            if serving.done():
                serving.result()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class _Reaping:
    """The reapers of all queues, in one thread of their own: a busy loop must not delay a look."""

    def __init__(
        self,
        store: StoreConfig,
        lease: LeaseConfig,
        observers: Observers,
        lookout: Lookout,
        pulse: Pulse,
    ) -> None:
        quick = msgspec.structs.replace(
            store, timeout_s=min(store.timeout_s, max(lease.renew_s, 0.5)), retry_s=0.0
        )
        self._transport = Transport(quick)
        self._lease = lease
        self._observers = observers
        self._lookout = lookout
        self._pulse = pulse
        self._reapers: dict[str, Reaper] = {}
        self._is_stopping = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rqueue-reaper", daemon=True)

    def add(self, keys: QueueKeys) -> None:
        """Watch a queue from now on."""
        reaper = Reaper(self._transport, keys, self._lease, self._observers)
        self._reapers[keys.queue] = reaper
        self._lookout.serve(self, keys.queue)
        self._news.set()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._is_stopping = True
        self._news.set()
        self._lookout.leave(self)
        if self._thread.is_alive():
            self._thread.join(timeout=self._lease.lease_s)
        self._transport.close()

    def _run(self) -> None:
        pause = 0.0
        while True:
            self._news.wait(pause)
            self._news.clear()
            if self._is_stopping:
                return
            self._pulse.beat(REAPER)
            if not self._reapers:  # there is no queue to look at, and nothing to ask
                self._pulse.answered(REAPER)
            for queue, reaper in list(self._reapers.items()):
                if monotonic() >= reaper.look_at:
                    self._look(queue, reaper)
            looks = [one.look_at - monotonic() for one in self._reapers.values()]
            pause = max(0.0, min([_LONGEST_PAUSE_S, self._lease.renew_s, *looks]))

    def _look(self, queue: str, reaper: Reaper) -> None:
        self._pulse.beat(REAPER)
        # A worker of this process looks at it: its looks are enough.
        if self._lookout.is_watched(queue, self._lease.renew_s):
            reaper.look_at = monotonic() + self._lease.renew_s
            self._pulse.answered(REAPER)
            return
        try:
            reaper.look()
            self._pulse.answered(REAPER)
        except StoreError as error:
            logger.debug("look failed: %s", error)
        except Exception:
            logger.exception("look failed; it goes on")
