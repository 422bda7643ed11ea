"""The supervisor: keeps worker processes running, and fences those that die.

No task runs in it, so nothing that a task does can delay it or take it along.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from rqueue.config import StoreConfig, WorkerConfig
from rqueue.errors import StoreError
from rqueue.events import Observers
from rqueue.store.keys import queue_keys
from rqueue.store.transport import Transport
from rqueue.supervisor.child import ChildProcess
from rqueue.worker.readings import Readings
from rqueue.worker.reaper import Reaper
from rqueue.worker.recycling import MAX_JOBS, MAX_MEMORY
from rqueue.worker.reports import EVERY_S
from rqueue.worker.tally import Tally

logger = logging.getLogger("rqueue")

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 30.0
_FENCE_S = 1.0
_SILENT_S = 5 * EVERY_S
"""A process that has not reported for so long hangs, or nearly so."""
_HUNG_S = 30.0
"""Processes that have all not reported for so long are past hope, as an event loop is."""
_BURST_FAILURES = 3
"""Children of a burst that never worked, one after the other, before it is given up."""


class Equipment(Protocol):
    """What fencing takes from an app.

    Attributes:
        store: how Redis is reached.
        observers: who hears of reaped workers.
    """

    store: StoreConfig
    observers: Observers


def fence(app: Equipment, config: WorkerConfig, prefix: str, cause: str) -> None:
    """Give up the leases of a worker that is known to be dead: nobody waits for them to run out.

    Args:
        app: whose Redis.
        config: the worker's queues and lease.
        prefix: how the worker's ids begin.
        cause: how it ended, for the history of the jobs it held.
    """
    # Without Redis nobody can be fenced; the leases end by themselves, and a stop must not wait.
    transport = Transport(msgspec.structs.replace(app.store, retry_s=_FENCE_S))
    try:
        for share in config.queues:
            keys = queue_keys(app.store.namespace, share.name)
            try:
                Reaper(transport, keys, config.lease, app.observers).fence(prefix, cause)
            except StoreError as error:
                logger.warning(
                    "cannot move what worker=%s held in queue=%s; others will, when its lease has "
                    "run out: %s",
                    prefix, share.name, error,
                )  # fmt: skip
    finally:
        transport.close()


class Supervisor:
    """Keeps a number of children running until it is stopped.

    Args:
        arguments: of ``rqueue worker``, for each child.
        env: the children's environment.
        fence: called in a thread with the name of a child that died, and how it ended.
        is_burst: a child that ends by itself has done its work.
    """

    def __init__(
        self,
        arguments: Sequence[Sequence[str]],
        env: Mapping[str, str],
        fence: Callable[[str, str], None],
        *,
        is_burst: bool = False,
    ) -> None:
        self._arguments = arguments
        self._env = env
        self._fence = fence
        self._is_burst = is_burst
        self._alive: set[ChildProcess] = set()
        self._ended = Tally()
        self._census = threading.Lock()
        self._restarts = {"crash": 0, "stopped": 0, MAX_JOBS: 0, MAX_MEMORY: 0}
        self._stopping = asyncio.Event()
        self._printing: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Run until stopped, or until every child has done its burst.

        Returns:
            0 if every child ended well at the last, else 1.
        """
        try:
            codes = await asyncio.gather(*(self._keep(one) for one in self._arguments))
        finally:
            for child in self._alive:
                child.kill()
        return max(codes, default=0)

    def readings(self) -> Readings:
        """Of all children together, counting what those had counted that have ended."""
        found = Readings(restarts=dict(self._restarts))
        with self._census:
            found.tally.add(self._ended)
            for child in self._alive:
                if child.report is not None:
                    found.add(child.report.readings)
                    found.lag_s = max(found.lag_s, child.silent_s - 2 * EVERY_S)
        return found

    def live(self) -> str:
        """Why it should be killed and started anew: not one of its children turns any more."""
        with self._census:
            silent = [child.silent_s if child.has_begun else 0.0 for child in self._alive]
        silent_s = min(silent, default=0.0)
        return f"no worker process has reported for {silent_s:.0f} s" if silent_s > _HUNG_S else ""

    def started(self) -> str:
        """Why none of its children has begun yet, or "". Whoever waits for Redis has begun."""
        return self._why("started")

    def ready(self) -> str:
        """Why none of its children takes jobs, or ""."""
        if self._stopping.is_set():
            return "it was told to stop, and takes no more jobs"
        return self._why("ready")

    def _why(self, what: str) -> str:
        reasons = [_why(child, what) for child in list(self._alive)]
        if not reasons:
            return "no worker process is alive"
        return "" if "" in reasons else f"no worker process does: {reasons[0]}"

    def stop(self) -> None:
        """Ask every child to stop; asked twice, they give their jobs back at once."""
        self._stopping.set()
        for child in self._alive:
            child.ask_to_stop()

    def print_stacks(self) -> None:
        """Make every child print its stacks, unless they do already."""
        if self._printing is None or self._printing.done():
            self._printing = asyncio.create_task(self._print_stacks())

    async def _print_stacks(self) -> None:
        # One after the other: they write to the same stream, and in the middle of lines.
        for child in sorted(self._alive, key=lambda one: one.pid):
            await child.print_stacks()

    async def _keep(self, arguments: Sequence[str]) -> int:
        failures = 0
        while not self._stopping.is_set():
            try:
                child = await ChildProcess.start(arguments, self._env)
            except OSError as error:  # no memory, no process or no descriptor left: it passes
                failures += 1
                logger.error("cannot start a worker: %s", error)  # noqa: TRY400 - it says it all
                await self._pause(_pause_s(failures))
                continue
            code = await self._watch(child)
            is_over = self._is_burst and code == 0 and not child.leaves_for
            if self._stopping.is_set() or is_over:
                # Minus SIGTERM: it was told to stop before it could listen, so it held nothing.
                return 0 if code in (0, -signal.SIGTERM) else 1
            if code in (0, 1) and child.leaves_for:  # 1: it had to give jobs back
                self._restarts[child.leaves_for] += 1
                failures = 0 if child.has_ended_jobs else failures + 1
                await self._told_of_leaving(child, failures)
                continue
            # One that worked and died has met a job that kills it, and its other jobs wait.
            failures = 0 if child.has_worked else failures + 1
            if self._is_burst and failures >= _BURST_FAILURES:
                return 1
            pause_s = _pause_s(failures)
            logger.log(
                logging.ERROR if code else logging.INFO,
                "worker pid=%d %s; another one starts in %.1f s",
                child.pid,
                child.end(code),
                pause_s,
            )
            await self._pause(pause_s)
            self._restarts["crash" if code else "stopped"] += not self._stopping.is_set()
        return 0

    async def _told_of_leaving(self, child: ChildProcess, failures: int) -> None:
        if failures:
            logger.error(
                "worker pid=%d left for %s before it had run any job: is the limit below what it "
                "needs when idle? Another one starts in %.1f s",
                child.pid, child.leaves_for, _pause_s(failures),
            )  # fmt: skip
            await self._pause(_pause_s(failures))
        else:
            logger.info("worker pid=%d has done enough (%s)", child.pid, child.leaves_for)

    async def _watch(self, child: ChildProcess) -> int:
        """Wait for a child's end; fence it at once unless it ended well."""
        with self._census:
            self._alive.add(child)
        if self._stopping.is_set():
            child.ask_to_stop()
        try:
            code = await child.wait()
        finally:
            with self._census:  # else a scrape would miss it, or count it twice
                self._alive.discard(child)
                self._ended.add(child.counted)
        if code != 0:
            try:
                cause = f"the worker process {child.end(code)}"
                await asyncio.to_thread(self._fence, f"{child.name}-", cause)
            except Exception:
                logger.exception("cannot fence worker=%s, its lease has to run out", child.name)
        return code

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _why(child: ChildProcess, what: str) -> str:
    if child.report is None:
        return "it has not said anything yet"
    if child.silent_s > _SILENT_S:
        return f"it has not reported for {child.silent_s:.0f} s"
    return getattr(child.report, what)


def _pause_s(failures: int) -> float:
    """Seconds before the next start; doubled with each failure in a row."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 30))
