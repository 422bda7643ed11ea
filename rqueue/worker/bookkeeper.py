"""The bookkeeper: every few seconds, what a worker has counted goes into its queues' history."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

import msgspec

from rqueue.clock import now_ms
from rqueue.config import StoreConfig
from rqueue.errors import StoreError
from rqueue.history import (
    CANCELLED,
    DEAD,
    EXPIRED,
    FAILED,
    LOST,
    RETRIES,
    RUN,
    RUN_US,
    SNOOZES,
    SUCCEEDED,
    TIMEOUTS,
    WAIT,
    WAIT_US,
    Counts,
    FailureLine,
    write,
)
from rqueue.ids import new_id, shorten
from rqueue.protection import Protection
from rqueue.store.calls.history import Booking, book
from rqueue.store.keys import QueueKeys, queue_keys
from rqueue.store.transport import AsyncTransport
from rqueue.worker.recorder import Failed, Recorder
from rqueue.worker.series import Series

logger = logging.getLogger("rqueue")

EVERY_S = 10.0
"""How often; a worker that dies takes what it has counted since along."""
LONGEST_S = 60.0
MOST_A_SECOND = 10
"""Rounds that the workers of a queue make together; the more they are, the rarer those of each."""

_AT_ONCE = 10
"""Tasks in a trip: Redis adds them up within some milliseconds, in which nobody else is served."""


class Bookkeeper:
    """Books what the recorder has counted: a round, and one more at the end.

    What Redis has not confirmed is sent again as it was, under its number, until it is: a booking
    counts once. What is counted meanwhile waits for the next.

    Args:
        transport: of the worker's loop.
        store: for the namespace, and how errors stand in Redis.
        recorder: counts.
        peers: how many workers there are that book.
    """

    name = "bookkeeper"

    def __init__(
        self,
        transport: AsyncTransport,
        store: StoreConfig,
        recorder: Recorder,
        peers: Callable[[], int],
    ) -> None:
        self._transport = transport
        self._store = store
        self._recorder = recorder
        self._peers = peers
        self._name = shorten(new_id())
        self._books: dict[str, _Book] = {}
        self._is_failing = False

    async def run_once(self) -> float:
        """Book what is new in each queue; an idle one costs no trip."""
        trouble = await self._round()
        if trouble and not self._is_failing:
            logger.warning("the history has to wait, and misses nothing: %s", trouble)
        self._is_failing = bool(trouble)
        return min(LONGEST_S, max(EVERY_S, self._peers() / MOST_A_SECOND))

    async def end(self, seconds: float) -> None:
        """Book all that there is, for so long at the most."""
        trouble = "Redis did not answer"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Twice: where an older booking was open, the first sends no more than that.
                trouble = await self._round() or await self._round()
        if trouble:
            logger.warning("the history misses what this worker counted last: %s", trouble)

    async def _round(self) -> str:
        """Why something could not be booked, or ""."""
        trouble = ""
        for queue in {queue for queue, _ in self._recorder.series}:
            try:
                await self._book(queue)
            except StoreError as error:
                trouble = f"queue={queue}: {error}"
            except Exception:  # the other queues, and the worker, go on
                logger.exception("the history of queue=%s misses something", queue)
        return trouble

    async def _book(self, queue: str) -> None:
        if queue not in self._books:
            keys = queue_keys(self._store.namespace, queue)
            self._books[queue] = _Book(self._name, keys, self._recorder, self._store.protection)
        mine = self._books[queue]
        for booking in mine.bookings():
            at_ms = round(now_ms() + self._recorder.skew_ms)
            if await self._transport.run(book(mine.keys, booking, at_ms)) == "elsewhen":
                break  # once a later one is booked, this one counts as booked as well
            mine.confirmed(booking)


class _Book:
    """What was booked of one queue, and what is to be booked next."""

    def __init__(
        self, name: str, keys: QueueKeys, recorder: Recorder, protection: Protection
    ) -> None:
        self.keys = keys
        self._name = name
        self._recorder = recorder
        self._protection = protection
        self._number = 0
        self._open: list[Booking] = []
        self._told: dict[str, tuple[tuple[float, ...], Counts]] = {}

    def bookings(self) -> Sequence[Booking]:
        """Those that were not confirmed; when there are none, what is new."""
        if not self._open:
            # The counts last: once they are taken they are remembered as told.
            failures, news = self._failures(), list(self._news())
            for start in range(0, max(len(news), bool(failures)), _AT_ONCE):
                self._number += 1
                counts = news[start : start + _AT_ONCE]
                told = [] if start else failures
                self._open.append(Booking(self._name, self._number, counts, told))
        return tuple(self._open)

    def confirmed(self, booking: Booking) -> None:
        """It stands in Redis."""
        self._open.remove(booking)

    def _news(self) -> Iterator[tuple[str, str]]:
        for (queue, task), series in self._recorder.series.items():
            if queue != self.keys.queue:
                continue
            mark, (known, before) = _mark(series), self._told.get(task, ((), {}))
            if mark != known:
                now = self._counts(series)
                self._told[task] = (mark, now)
                yield task, write({name: n - before.get(name, 0) for name, n in now.items()})

    def _counts(self, series: Series) -> Counts:
        task, recorder = series.task, self._recorder
        return {
            SUCCEEDED: task.succeeded,
            FAILED: task.attempts["failed"],
            TIMEOUTS: task.attempts["timeout"],
            LOST: task.attempts["lost"],
            DEAD: task.ends["dead"],
            CANCELLED: task.ends["cancelled"],
            EXPIRED: task.ends["expired"],
            RETRIES: task.retries["error"] + task.retries["timeout"],
            SNOOZES: task.retries["snooze"],
            RUN_US: round(series.run.sum * 1e6),
            WAIT_US: round(series.wait.sum * 1e6),
            **{f"{RUN}{n}": count for n, count in recorder.run.kept(series.run).items()},
            **{f"{WAIT}{n}": count for n, count in recorder.wait.kept(series.wait).items()},
        }

    def _failures(self) -> list[bytes]:
        found = self._recorder.failures.pop(self.keys.queue, ())
        return [self._line(one) for one in found]

    def _line(self, one: Failed) -> bytes:
        error = msgspec.msgpack.encode((one.type, one.message, one.worker))
        sealed = self._protection.protect(error, "error", self.keys.queue, one.job_id)
        line = FailureLine(one.at_ms, one.task, one.job_id, one.attempt, one.reason, sealed)
        return msgspec.msgpack.encode(line)


def _mark(series: Series) -> tuple[float, ...]:
    """Differs as soon as anything was counted."""
    task = series.task
    ends = (sum(one.values()) for one in (task.attempts, task.ends, task.retries))
    return (task.succeeded, *ends, sum(series.run.counts), series.run.sum)
