"""Settings of a task and of one call of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, cast, get_args

import msgspec

from rqueue.config import MAX_CRASHES, check_range
from rqueue.durability import Durability, Mode, durability_of
from rqueue.duration import parse_duration
from rqueue.envelope import LATEST_VERSION
from rqueue.errors import ConfigError
from rqueue.names import Priority, check_job_id, check_priority, check_queue, check_unique
from rqueue.outcome import check_seconds
from rqueue.retry import Retry
from rqueue.suggestion import did_you_mean

Isolation = Literal["loop", "thread", "process"]
Seconds = float | timedelta | str
"""A number of seconds, a timedelta, or a text such as ``90s``, ``10m``, ``1h30m``."""

_LONGEST_TIMEOUT_S = 30 * 24 * 3600
_LONGEST_TTL_S = 366 * 24 * 3600


class TaskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is declared on a task.

    Attributes:
        queue: where its jobs go.
        priority: critical, high, normal or low.
        retry: when a failed job runs again.
        timeout: seconds one attempt may take.
        result_ttl: seconds the result is kept; 0 keeps nothing.
        expires: seconds after the enqueue beyond which a job is not started; None = never.
        deadline: seconds after the enqueue beyond which no attempt begins or runs; None = none.
        max_crashes: workers a job may kill before it is dead.
        isolation: ``loop`` for async tasks, ``thread`` or ``process`` for sync ones.
        unique: the unique key of a call, computed from its arguments.
        durability: what an enqueue waits for; None = what the app says.
        version: of its arguments.
    """

    queue: str = "default"
    priority: Priority = "normal"
    retry: Retry = Retry()
    timeout: float = 300.0
    result_ttl: float = 3600.0
    expires: float | None = None
    deadline: float | None = None
    max_crashes: int = MAX_CRASHES
    isolation: Isolation = "loop"
    unique: Callable[..., str] | None = None
    durability: Durability | None = None
    version: int = 1

    def __post_init__(self) -> None:
        """Check every value; a sentence names the field and what is allowed."""
        check_queue(self.queue)
        check_priority(self.priority)
        check_range(self.timeout, "timeout", 0.001, _LONGEST_TIMEOUT_S)
        check_range(self.result_ttl, "result_ttl", 0, _LONGEST_TTL_S)
        check_range(self.max_crashes, "max_crashes", 1, 1000, whole=True)
        check_range(self.version, "version", 1, LATEST_VERSION, whole=True)
        _check_retry(self.retry)
        if self.isolation not in get_args(Isolation):
            message = f"isolation {self.isolation!r} is not one of {', '.join(get_args(Isolation))}"
            raise ConfigError(message)
        if self.unique is not None and not callable(self.unique):
            message = f"unique must compute a key from the arguments, not be {self.unique!r:.80}"
            raise ConfigError(message)
        if self.expires is not None:
            check_seconds(self.expires, "expires")
        if self.deadline is not None:
            check_seconds(self.deadline, "deadline")


class CallOptions(TypedDict, total=False):
    """What ``task.options(...)`` takes: one call's own settings, over those of its task.

    Keys:
        queue, priority, retry, timeout, result_ttl, durability: as declared on a task.
        delay: how long from now, by Redis' clock: seconds, a timedelta, or a text such as ``90s``.
        run_at: an aware time; the past means now.
        expires: a duration from the enqueue, or an aware time, after which the job is not started;
            None = never.
        deadline: likewise; beyond it no attempt begins, and one that runs is ended. None = none.
        job_id: an id of your own; enqueueing it again with the same content is a ``duplicate``.
        unique: a key that no other unfinished job of the queue may hold.
        headers: text for middleware.
        record: for ``task.now``: whether the call leaves a record.
    """

    queue: str
    priority: Priority
    retry: Retry
    timeout: Seconds
    result_ttl: Seconds
    delay: Seconds
    run_at: datetime
    expires: Seconds | datetime | None
    deadline: Seconds | datetime | None
    job_id: str
    unique: str
    headers: Mapping[str, str]
    record: bool
    durability: Mode | Durability


def check_options(chosen: CallOptions) -> None:
    """Refuse what is wrong by itself; the rest is checked when the job is built.

    Raises:
        ConfigError: a value is not allowed.
    """
    if "delay" in chosen and "run_at" in chosen:
        message = "delay and run_at exclude each other: give one"
        raise ConfigError(message)
    checks: dict[str, Callable[[Any], object]] = {
        "queue": check_queue,
        "priority": check_priority,
        "job_id": check_job_id,
        "unique": check_unique,
        "run_at": _check_aware,
        "delay": lambda value: check_seconds(seconds(value, "delay"), "delay"),
        "timeout": _check_timeout,
        "result_ttl": _check_ttl,
        "expires": lambda value: _check_limit(value, "expires"),
        "deadline": lambda value: _check_limit(value, "deadline"),
        "retry": _check_retry,
        "headers": _check_headers,
        "durability": durability_of,
    }
    unknown = set(chosen) - set(CallOptions.__annotations__)
    if unknown:
        hint = did_you_mean(min(unknown), CallOptions.__annotations__)
        raise ConfigError(f"options has no {min(unknown)!r}{hint}")
    for name, value in chosen.items():
        if name in checks:
            checks[name](value)


def period(value: Seconds) -> float:
    """Seconds from a number, a timedelta or a text such as ``90s`` or ``1h30m``.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta | str):  # pyright: ignore[reportUnnecessaryIsInstance] - a user's
        raise ConfigError(f"{value!r:.80} is no duration: give seconds, a timedelta, or '90s'")
    return seconds(value)


def seconds(value: Seconds, name: str = "") -> float:
    """Seconds from a number, a timedelta or a text; ``name`` is told with a text that is none.

    Raises:
        ConfigError: the text is no duration. Whether a number makes sense is not looked at.
    """
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}" if name else str(error)) from None
    return value.total_seconds() if isinstance(value, timedelta) else value


def due_of(delay: Seconds | None, run_at: datetime | None) -> str:
    """When a job is due, as the scripts take it: by Redis' clock from now, or at a time.

    Raises:
        ConfigError: not one of the two was given, or it is no time.
    """
    if (delay is None) == (run_at is None):
        raise ConfigError("say when: give one of delay and run_at")
    if run_at is not None:
        _check_aware(run_at)
        return str(round(run_at.timestamp() * 1000))
    return f"+{round(check_seconds(seconds(delay or 0, 'delay'), 'delay') * 1000)}"


def _check_aware(value: object, name: str = "run_at") -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        message = (
            f"{name} {value!r:.80} must be a datetime with a time zone, such as "
            "datetime.now(UTC) + timedelta(hours=1); a naive one names no moment"
        )
        raise ConfigError(message)


def _check_limit(value: object, name: str) -> None:
    if isinstance(value, datetime):
        _check_aware(value, name)
    elif value is not None:
        check_seconds(seconds(cast("Seconds", value), name), name)


def _check_timeout(value: Seconds) -> None:
    check_range(seconds(value, "timeout"), "timeout", 0.001, _LONGEST_TIMEOUT_S)


def _check_ttl(value: Seconds) -> None:
    check_range(seconds(value, "result_ttl"), "result_ttl", 0, _LONGEST_TTL_S)


def _check_retry(value: object) -> None:
    if not isinstance(value, Retry):
        message = f"retry must be a Retry, such as Retry(max_attempts=3), not {value!r:.80}"
        raise ConfigError(message)


def _check_headers(headers: object) -> None:
    if isinstance(headers, Mapping):
        items = cast("Mapping[object, object]", headers).items()
        if all(isinstance(key, str) and isinstance(value, str) for key, value in items):
            return
    message = f"headers must map text to text, not {headers!r:.80}"
    raise ConfigError(message)
