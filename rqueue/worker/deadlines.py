"""Bounds in time: one timer for all of them, as one for each costs more than a small job."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Any, Self

from rqueue.clock import monotonic
from rqueue.errors import AttemptTimeout


class Deadlines:
    """The calls of one event loop that have a bound in time.

    Attributes:
        open: those that go on.
        next: when the first of them is looked at, monotonic.
    """

    def __init__(self) -> None:
        self.open: set[Deadline] = set()
        self.next = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def watch_from(self, at: float) -> None:
        """Look at them at that time, monotonic, instead of when the next look would be."""
        if self._timer is not None:
            self._timer.cancel()
        self.next = at
        wait = max(0.0, at - monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def close(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.next = None, math.inf

    def _look(self) -> None:
        """Cancel whose time is over; a timer may come early, a call never ends early."""
        now, self._timer, self.next = monotonic(), None, math.inf
        over = [one for one in self.open if one.at <= now]
        for one in over:
            self.open.discard(one)
            one.expire()
        if self.open:
            self.watch_from(min(one.at for one in self.open))


class Deadline:
    """A bound for what stands in the ``with`` block, as ``asyncio.timeout`` is one.

    Raises ``AttemptTimeout`` in place of the cancellation that it caused, and also when that was
    swallowed: what is late is late.

    Args:
        deadlines: of this event loop.
        seconds: how long it may take.
        task: the current one; who calls knows it, and to ask asyncio is a system call.

    Raises:
        RuntimeError: there is no task.

    Attributes:
        at: when time is over, monotonic.
        expired: whether it is.
    """

    __slots__ = ("_before", "_deadlines", "_seconds", "_task", "at", "expired")

    def __init__(
        self, deadlines: Deadlines, seconds: float, task: asyncio.Task[Any] | None
    ) -> None:
        if task is None:
            raise RuntimeError("a deadline needs a task that it can cancel")
        self._deadlines = deadlines
        self._seconds = seconds
        self._task = task
        self.expired = False

    def __enter__(self) -> Self:
        self._before = self._task.cancelling()
        self.at = monotonic() + self._seconds
        self._deadlines.open.add(self)
        if self.at < self._deadlines.next:
            self._deadlines.watch_from(self.at)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._deadlines.open.discard(self)
        if self.expired:
            is_ours = self._task.uncancel() <= self._before
            is_cancelled = is_ours and isinstance(error, asyncio.CancelledError)
            if is_cancelled or error is None or isinstance(error, TimeoutError):
                raise AttemptTimeout(self._seconds) from error

    def expire(self) -> None:
        """Time is over."""
        self.expired = True
        self._task.cancel()
