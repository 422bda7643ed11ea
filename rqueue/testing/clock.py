"""The clock of a test: it stands still until it is told to go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, Unpack

from rqueue.clock import from_ms, held, now_ms
from rqueue.errors import ConfigError
from rqueue.timing import moment_ms

_FIRST_MS = round(datetime(1970, 1, 2, tzinfo=UTC).timestamp() * 1000)
_LAST_MS = round(datetime(2200, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""Beyond it no schedule ticks."""


def check_moment(ms: int, name: str) -> int:
    """Return a moment at which a test's clock may stand, or raise ``ConfigError``."""
    if _FIRST_MS <= ms <= _LAST_MS:
        return ms
    raise ConfigError(f"{name} can stand from 1970-01-02 to 2200-01-01 only")


class Span(TypedDict, total=False):
    """How far; what is given is added up."""

    weeks: float
    days: float
    hours: float
    minutes: float
    seconds: float
    milliseconds: float


class Clock:
    """The time of this process, of its jobs and of its schedules.

    Args:
        rest: does all that is to be done at the present moment; ms of the next one, or None.
        done: is called when the clock has arrived.
        wait: makes blocking code wait for a coroutine.
    """

    def __init__(
        self,
        rest: Callable[[], Awaitable[int | None]],
        done: Callable[[], Awaitable[None]],
        wait: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._rest = rest
        self._done = done
        self._wait = wait

    @property
    def now(self) -> datetime:
        """Where it stands; UTC."""
        return from_ms(now_ms())

    async def advance(self, **span: Unpack[Span]) -> None:
        """Let so much time pass; without arguments, run what is ready.

        Whatever comes due meanwhile is run at its own time, in order, with all that follows from
        it; after the last of it the clock stands at the end of the span.

        Raises:
            ConfigError: the span is negative.
            StillBusy: what is ready does not end.
        """
        try:
            passed = timedelta(**span)
        except (OverflowError, ValueError) as error:
            raise ConfigError(f"no such span: {span!r} ({error})") from error
        await self._to(now_ms() + round(passed / timedelta(milliseconds=1)))

    async def advance_to(self, moment: datetime) -> None:
        """Let time pass until then, an aware time; otherwise as ``advance``."""
        await self._to(moment_ms(moment, "moment"))

    def advance_sync(self, **span: Unpack[Span]) -> None:
        """``advance`` for blocking code, in a ``with Harness(...)``."""
        self._wait(self.advance(**span))

    def advance_to_sync(self, moment: datetime) -> None:
        """``advance_to`` for blocking code."""
        self._wait(self.advance_to(moment))

    async def _to(self, target_ms: int) -> None:
        if target_ms < now_ms():
            back_s = (now_ms() - target_ms) / 1000
            raise ConfigError(
                f"the clock stands at {self.now.isoformat()} and goes forward only, not "
                f"{back_s:g} s back"
            )
        check_moment(target_ms, "the clock")
        while (next_ms := await self._rest()) is not None and next_ms <= target_ms:
            held.ms = next_ms
        held.ms = target_ms
        await self._done()
