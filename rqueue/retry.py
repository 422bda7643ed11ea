"""When a failed job runs again: exponential backoff with full jitter, capped."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

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
        until: seconds after the enqueue beyond which no further attempt begins; None = no bound.
            ``deadline`` of a task or call bounds the attempts themselves.
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
            if not _is_number(value, 0, _LONGEST_SECONDS):
                message = f"Retry({name}={value!r}) must be seconds from 0 to {_LONGEST_SECONDS:g}"
                raise ConfigError(message)
        if not _is_number(self.factor, 1, 100):
            message = f"Retry(factor={self.factor!r}) must be from 1 to 100"
            raise ConfigError(message)
        for name in ("on", "never"):
            if not _are_exceptions(getattr(self, name)):
                message = f"Retry({name}={getattr(self, name)!r}) must be a tuple of exceptions"
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
            return self.cap if self.base else 0.0

    def wait(self, attempt: int, age: float) -> float | None:
        """Seconds to wait after a failed attempt, or None when it was the last.

        Args:
            attempt: the attempt that failed, from 1.
            age: seconds since the job was enqueued.
        """
        if attempt >= self.max_attempts:
            return None
        wait = random.uniform(0, self.bound(attempt))
        return wait if self.reaches(age + wait) else None

    def reaches(self, age: float) -> bool:
        """Whether a job of this age may still be tried again."""
        return self.until is None or age <= self.until

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
        attempts = values.get("max_attempts", 1)
        if "max_attempts" in values and float(attempts).is_integer():
            values["max_attempts"] = int(attempts)
        return Retry(on=self.on, never=self.never, **values)  # type: ignore[arg-type]


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _are_exceptions(kinds: object) -> bool:
    return isinstance(kinds, tuple) and all(
        isinstance(kind, type) and issubclass(kind, BaseException)
        for kind in cast("tuple[object, ...]", kinds)
    )
