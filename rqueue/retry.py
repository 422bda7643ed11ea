"""When a failed job runs again: exponential backoff with full jitter, capped."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

from rqueue.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SECONDS = 366 * 24 * 3600.0
_NUMBERS = ("max_attempts", "base", "cap", "factor", "until")


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A retry policy.

    The wait before attempt *n* + 1 is drawn evenly from 0 to ``min(cap, base * factor**(n-1))``
    seconds: full jitter, which spreads a burst of failures best (Brooker, "Exponential Backoff
    And Jitter", AWS 2015).

    Attributes:
        max_attempts: runs allowed in all, the first included.
        base: seconds; upper bound of the first wait.
        cap: seconds; upper bound of every wait.
        factor: growth of the bound from one wait to the next.
        until: seconds after the enqueue beyond which nothing is tried again; None = no deadline.
        on: if given, only these exceptions are retried.
        never: these exceptions are never retried.
    """

    max_attempts: int = 5
    base: float = 1.0
    cap: float = 600.0
    factor: float = 2.0
    until: float | None = None
    on: tuple[type[BaseException], ...] = ()
    never: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that would retry for ever, never, or at no defined time."""
        if type(self.max_attempts) is not int or not 1 <= self.max_attempts <= 1_000_000:
            message = f"Retry(max_attempts={self.max_attempts!r}) must be a whole number >= 1"
            raise ConfigError(message)
        for name in ("base", "cap", "until"):
            value = getattr(self, name)
            if name == "until" and value is None:
                continue
            if isinstance(value, bool) or not 0 <= value <= _LONGEST_SECONDS:
                message = f"Retry({name}={value!r}) must be seconds from 0 to {_LONGEST_SECONDS:g}"
                raise ConfigError(message)
        if not 1 <= self.factor <= 100:
            message = f"Retry(factor={self.factor!r}) must be from 1 to 100"
            raise ConfigError(message)

    def allows(self, error: BaseException) -> bool:
        """Whether this kind of error may be tried again at all."""
        if isinstance(error, self.never):
            return False
        return not self.on or isinstance(error, self.on)

    def bound(self, attempt: int) -> float:
        """Seconds: the longest wait after this attempt failed (attempts count from 1)."""
        try:
            return min(self.cap, self.base * self.factor ** (attempt - 1))
        except OverflowError:
            return self.cap

    def wait(self, attempt: int, age: float) -> float | None:
        """Seconds to wait after a failed attempt, or None when it was the last.

        Args:
            attempt: the attempt that failed, from 1.
            age: seconds since the job was enqueued.
        """
        if attempt >= self.max_attempts:
            return None
        wait = random.uniform(0, self.bound(attempt))
        if self.until is not None and age + wait > self.until:
            return None
        return wait

    def numbers(self) -> dict[str, float]:
        """The part of the policy that can travel in an envelope (no exception types)."""
        default = Retry()
        chosen = {name: getattr(self, name) for name in _NUMBERS}
        return {k: v for k, v in chosen.items() if v != getattr(default, k)}

    def with_numbers(self, numbers: Mapping[str, float]) -> Retry:
        """This policy's exception rules with the numbers of an envelope.

        Raises:
            ConfigError: a number is unknown or out of bounds.
        """
        unknown = set(numbers) - set(_NUMBERS)
        if unknown:
            message = f"retry has no field {', '.join(sorted(unknown))}"
            raise ConfigError(message)
        values: dict[str, float] = dict(numbers)
        if "max_attempts" in values:
            values["max_attempts"] = int(values["max_attempts"])
        return Retry(on=self.on, never=self.never, **values)  # type: ignore[arg-type]
