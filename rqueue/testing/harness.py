"""The harness: a worker, the duties of a scheduler, and the test's clock around an app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import msgspec

from rqueue.app import App
from rqueue.clock import from_ms, held, monotonic, now_ms
from rqueue.config import QueueShare, WorkerConfig, check_range, check_url
from rqueue.embedded import EmbeddedServer, Options
from rqueue.errors import ConfigError, StoreUnavailable
from rqueue.events import Event, JobFinished, JobsPromoted, JobStarted, ScheduleTicked
from rqueue.names import check_queue
from rqueue.store.calls.keyspace import erase
from rqueue.store.transport import AsyncTransport
from rqueue.testing.clock import Clock, check_moment
from rqueue.testing.duties import Duties
from rqueue.testing.runs import Run, StillBusy
from rqueue.timing import moment_ms
from rqueue.worker.worker import Worker

logger = logging.getLogger("rqueue")

_LOOK_AGAIN_S = 0.05
_MOST_ROUNDS = 1000
"""After so many at one moment, something is due again at once, and again, for ever."""
"""Even when nothing was heard: a job that is given back ends without a word."""


class Harness:
    """An app whose jobs run at once, and whose time stands still until the test moves it.

    ``async with`` it in async tests, ``with`` it in blocking ones. Meanwhile the app uses a
    namespace of its own, and every clock of rqueue in this process shows the test's time; the
    clocks of Python go on, and so do timeouts of handlers and the life of keys in Redis.

    Args:
        app: whose tasks and schedules are tested.
        at: when the test begins, an aware time; now, if it is not given.
        url: of a Redis; without one a server of the test's own is started.
        queues: which are served beside those that tasks of the app declare.
        patience: seconds of real time that a moment may take.

    Raises:
        ConfigError: another harness is open in this process, or an argument is not allowed.
    """

    def __init__(
        self,
        app: App,
        *,
        at: datetime | None = None,
        url: str = "",
        queues: Sequence[str] = (),
        patience: float = 10.0,
    ) -> None:
        self._app = app
        self._begin_ms = now_ms() if at is None else check_moment(moment_ms(at, "at"), "at")
        self._url = check_url(url) if url else ""
        self._more_queues = [check_queue(queue) for queue in queues]
        self._patience_s = check_range(patience, "patience", 0.01, 3600)
        self._stack = AsyncExitStack()
        self._happened = self._expected = 0
        self._begun: dict[str, str] = {}
        self._thread: _LoopThread | None = None
        self._is_open = self._was_opened = False
        self.clock = Clock(self._rest, self._prune, self._wait)
        self.runs: list[Run] = []
        """Every attempt that ended, in order."""

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise ConfigError("a harness is opened once: make another one for another time")
        self._was_opened = True
        self._news = asyncio.Event()
        async with AsyncExitStack() as stack:
            await self._set_up(stack)
            self._stack = stack.pop_all()
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        await self._stack.aclose()

    def __enter__(self) -> Self:
        self._thread = _LoopThread()
        try:
            return self._thread.run(self.__aenter__())
        except BaseException:
            self._thread.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                thread.run(self.__aexit__(kind, error, traceback))
            finally:
                thread.close()

    async def _set_up(self, stack: AsyncExitStack) -> None:
        app = self._app
        app.load()
        stack.enter_context(_holding(self._begin_ms))
        url = self._url
        if not url:
            server = await asyncio.to_thread(EmbeddedServer.start, **self._options())
            stack.push_async_callback(asyncio.to_thread, server.stop)
            url = server.url
        namespace = f"test-{uuid4().hex[:12]}"
        store = msgspec.structs.replace(app.store, url=url, namespace=namespace)
        stack.enter_context(app.elsewhere(store))
        transport = AsyncTransport(store)
        stack.push_async_callback(transport.close)
        if self._url:
            stack.push_async_callback(transport.run, erase(namespace))
        stack.push_async_callback(app.close)
        app.observers.add(self._hear)
        stack.callback(app.observers.all.remove, self._hear)
        await self._start(stack, transport)

    def _options(self) -> Options:
        """A server that can promise what the app and its tasks promise."""
        wishes = [self._app.durability, *(task.declared.durability for task in self._app.tasks)]
        modes = {wish.mode for wish in wishes if wish is not None}
        if "replicated" in modes:
            raise ConfigError(
                "the harness' own server has no replica, and the app or a task of it has "
                "durability='replicated': give the url of one that has, or test with 'local'"
            )
        if "fsync" in modes:
            return Options(appendfsync="always", config={"appendonly": "yes"})
        return Options()

    async def _start(self, stack: AsyncExitStack, transport: AsyncTransport) -> None:
        declared = [task.declared.queue for task in self._app.tasks]
        queues = list(dict.fromkeys(["default", *declared, *self._more_queues]))
        self._duties = Duties(self._app, transport, queues)
        await self._duties.declare()
        shares = tuple(QueueShare(queue) for queue in queues)
        self._worker = Worker(self._app, WorkerConfig(queues=shares, grace_s=0))
        self._working = asyncio.create_task(self._worker.run(), name="rqueue-test-worker")
        stack.push_async_callback(self._stop)
        ready = asyncio.ensure_future(self._worker.ready.wait())
        await asyncio.wait(
            {ready, self._working}, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()
        self._raise_failed()
        if not self._worker.ready.is_set():
            raise StoreUnavailable(self._worker.health.ready())

    async def _stop(self) -> None:
        """Give back what still runs; raises what the worker, or its lifespan, raised."""
        self._worker.stop()
        await self._working

    async def _rest(self) -> int | None:
        """Do all that is due and run all that is ready; ms of the moment at which more is due."""
        if not self._is_open:
            raise ConfigError("the harness is not open: move its clock within its `with` block")
        end, tried, rounds = monotonic() + self._patience_s, -1, 0
        while True:
            self._raise_failed()
            if (rounds := rounds + 1) > _MOST_ROUNDS and monotonic() > end:
                raise StillBusy(from_ms(now_ms()), self._patience_s, self._begun.values())
            self._news.clear()
            seen = await self._duties.look(now_ms())
            if any(one.due_jobs or one.due_ticks for one in seen) and tried != self._happened:
                tried = self._happened  # what cannot go now is not tried again for nothing
                await self._duties.run(seen)
                await self._hear_of_all()
            elif self._worker.in_hand or any(one.entries for one in seen if not one.is_paused):
                await self._hear_more(end)
            else:
                return min([one.next_ms for one in seen if one.next_ms is not None], default=None)

    async def _hear_more(self, end: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await self._news.wait()
        if monotonic() > end:
            raise StillBusy(from_ms(now_ms()), self._patience_s, self._begun.values())

    async def _hear_of_all(self) -> None:
        """Wait for what was just set going: sooner heard of than looked for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_S):
                while self._expected > 0:
                    self._news.clear()
                    await self._news.wait()
        self._expected = 0

    async def _prune(self) -> None:
        await self._duties.prune()
        for queue in await self._duties.unserved():
            logger.warning(
                "jobs wait in queue %s, which no task of the app declares: nobody runs them in "
                "this test, unless with Harness(queues=[%r])", queue, queue,
            )  # fmt: skip

    def _hear(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._begun[event.job_id] = event.task
            case JobFinished():
                self._begun.pop(event.job_id, None)
                self.runs.append(Run.of(event))
                self._expected -= 1
            case JobsPromoted():
                self._expected += event.count
            case ScheduleTicked():
                self._expected += event.said == "ran"
            case _:
                return
        self._happened += 1
        self._news.set()

    def _raise_failed(self) -> None:
        if self._working.done():
            self._working.result()

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        if self._thread is None:
            work.close()
            raise ConfigError(
                "the harness was not opened by a plain `with`: await rq.clock.advance(...)"
            )
        self._thread.run(work)


@contextlib.contextmanager
def _holding(ms: int) -> Any:
    if held.ms is not None:
        raise ConfigError(
            "another Harness is open in this process, and there is only one time: close it first"
        )
    held.ms = ms
    try:
        yield
    finally:
        held.ms = None


class _LoopThread:
    """An event loop in a thread of its own, for blocking code."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="rqueue-test", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for a coroutine in that loop; what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
