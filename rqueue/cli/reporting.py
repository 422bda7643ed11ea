"""What a worker process tells its supervisor: how it fares, every second and at its end.

What it counts it writes down as well, after each batch of outcomes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

from rqueue.worker.journal import Journal
from rqueue.worker.reports import EVERY_S, Report

if TYPE_CHECKING:
    from rqueue.worker.worker import Worker

_LAST_S = 1.0
"""How long the last report may take; a supervisor that does not listen must not hold us up."""


class Reporter:
    """Reports on one worker, in its event loop.

    Args:
        descriptor: the socket that the supervisor listens to; it stays the caller's.
        journal_fd: a file that the supervisor reads when this process has ended; it is closed.
        worker: who is told of.
    """

    def __init__(self, descriptor: int, journal_fd: int, worker: Worker) -> None:
        self._line = socket.socket(fileno=os.dup(descriptor))
        self._line.settimeout(0)
        self._journal = worker.recorder.journal = Journal(journal_fd)
        self._worker = worker
        self._under_way: asyncio.Task[None] | None = None
        self._stacks = 0
        self._has_printed = asyncio.Event()

    async def run(self) -> None:
        """Report every second, when the worker takes its first jobs, and after its stacks."""
        with contextlib.suppress(OSError):  # nobody listens: the supervisor has died
            while True:
                news = self._has_printed if self._worker.ready.is_set() else self._worker.ready
                self._has_printed.clear()
                await asyncio.shield(self._telling())  # half a report would spoil all that follow
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await news.wait()

    def printed_stacks(self) -> None:
        """Report at once that this process has printed its stacks: another one may now."""
        self._stacks += 1
        self._has_printed.set()

    async def end(self) -> None:
        """Report what it had counted at its end."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LAST_S):
                if self._under_way is not None:
                    await self._under_way
                await self._tell()
        self._line.close()

    def _telling(self) -> asyncio.Task[None]:
        self._under_way = asyncio.create_task(self._tell())
        return self._under_way

    async def _tell(self) -> None:
        health = self._worker.health
        readings, why = self._worker.readings(), self._worker.recycling.reached
        has_joined = self._worker.ready.is_set()
        report = Report(health.started(), health.ready(), readings, has_joined, why, self._stacks)
        self._journal.restart(self._worker.recorder.counted())  # never behind what is reported
        await asyncio.get_running_loop().sock_sendall(self._line, report.framed())
