"""How connections are made, and what their errors mean; the one place for redis-py's defaults.

redis-py repeats every command up to ten times by default, so a lost answer doubles a write. Here
it never repeats: rqueue's transports do, and only calls that are safe to repeat. The protocol is
pinned to RESP2, so that replies have one shape, and are taken raw.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import hiredis
import redis
import redis.asyncio
from redis import exceptions as errors
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from rqueue.clock import monotonic
from rqueue.config import StoreConfig, shown
from rqueue.errors import ConfigError, CorruptKey, StoreError, StoreFull, StoreUnavailable
from rqueue.store.call import Call

_pack = cast("Callable[[tuple[Any, ...]], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType] - its stub has no return type

MORE = object()
"""What a reader of replies answers while there is none that is whole."""
POOL_SIZE = 32
"""Connections of one transport; more callers than this wait for one."""

QUEUEING_S = 60.0
"""How long a caller waits for a free connection: thousands may wait, each trip is short."""
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
# redis-py drops the word from the text of the errors that it has a class for.
_PASSING_ERRORS = (
    errors.BusyLoadingError,
    errors.ReadOnlyError,
    errors.MasterDownError,
    errors.ClusterDownError,
    errors.TryAgainError,
)
_PASSING = (
    *("LOADING", "READONLY", "UNBLOCKED", "MISCONF", "NOREPLICAS", "BUSY ", "max number of"),
    "with replica instances",  # so WAIT and WAITAOF say READONLY
)
_NOT_REACHED = " connecting to "
_ABSENT = ("NOGROUP", "no such key", "WRONGTYPE")

LOST = (errors.ConnectionError, errors.TimeoutError, OSError, EOFError)
"""Errors after which a connection is thrown away and the outcome of the command is unknown."""


class _PlainConnection(redis.Connection):
    """Looks its host up as bytes: for a text Python would load the IDNA codec, half a megabyte."""

    def _connect(self) -> Any:
        text: Any = self.host
        self.host = text.encode() if text.isascii() else text
        try:
            return super()._connect()
        finally:
            self.host = text


def blocking_pool(config: StoreConfig) -> Any:
    """Connections of the blocking API."""
    pool = _pool(redis.BlockingConnectionPool, config, Retry(NoBackoff(), 0))
    if pool.connection_class is redis.Connection:  # TLS and Unix sockets have theirs
        pool.connection_class = _PlainConnection
    return pool


def async_pool(config: StoreConfig) -> Any:
    """Connections of one event loop."""
    return _pool(redis.asyncio.BlockingConnectionPool, config, AsyncRetry(NoBackoff(), 0))


def _pool(kind: Any, config: StoreConfig, retry: Any) -> Any:
    try:
        return kind.from_url(
            config.url,
            protocol=2,
            retry=retry,
            max_connections=POOL_SIZE,
            timeout=QUEUEING_S,
            socket_timeout=config.timeout_s,
            socket_connect_timeout=config.timeout_s,
            client_name="rqueue",
            driver_info=None,
        )
    except (ValueError, TypeError, errors.RedisError) as error:
        message = (
            f"{shown(config.url)!r} is no Redis URL: {shown(str(error))}. It looks like "
            "redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/socket"
        )
        raise ConfigError(message) from None


def pack(calls: Sequence[Call[Any]]) -> bytes:
    """Several calls as they go over the wire."""
    return b"".join([_pack(call.words()) for call in calls])


def pack_words(words: Sequence[Any]) -> bytes:
    """One command as it goes over the wire."""
    return _pack(tuple(words))


def reply_reader(connection: Any) -> Any:
    """The reader of hiredis with the errors of redis-py; ``MORE``: no reply is whole yet."""
    return hiredis.Reader(
        protocolError=errors.InvalidResponse,
        replyError=connection._parser.parse_error,  # noqa: SLF001 - redis-py has no public name for it
        notEnoughData=MORE,
    )


def pack_sources(calls: Sequence[Call[Any]]) -> bytes:
    """Several calls for a server that does not have their scripts yet."""
    return b"".join([_pack(call.words_with_source()) for call in calls])


def unmade(calls: Sequence[Call[Any]], replies: Sequence[Any]) -> list[int]:
    """Which calls to make again: the server does not have the script yet, and nothing ran.

    So are those that waited for it: they waited for nothing.
    """
    if errors.NoScriptError not in map(type, replies):
        return []
    missed = [n for n, reply in enumerate(replies) if isinstance(reply, errors.NoScriptError)]
    return [n for n, call in enumerate(calls) if n in missed or (call.wait_s and n > missed[0])]


def answers(
    calls: Sequence[Call[Any]], replies: Sequence[Any], *, repeated: bool = False
) -> list[Any]:
    """Raw replies as the values of their calls; an error reply is raised, as ours."""
    pairs = zip(calls, replies, strict=True)
    return [answer(call, reply, repeated=repeated) for call, reply in pairs]


def answer(call: Call[Any], reply: Any, *, repeated: bool) -> Any:
    """A raw reply as the call's value; an error reply is raised, as ours."""
    if isinstance(reply, Exception):
        problem = translate(reply)
        if call.refusal is not None and not isinstance(problem, StoreUnavailable):
            return call.refusal(str(problem))
        reply = _instead(call, reply)
    return (call.parse_repeat if repeated else call.parse)(reply)


def _instead(call: Call[Any], error: Exception) -> Any:
    """What the call has said shall stand for this error."""
    text = str(error)
    if call.absent is not None and any(word in text for word in _ABSENT):
        return call.absent
    is_refused = isinstance(error, errors.NoPermissionError) or "unknown command" in text.lower()
    if call.refused is not None and is_refused:
        return call.refused
    raise translate(error) from error


def problem_of(error: BaseException) -> StoreError:
    """What a trip failed with, as ours."""
    return error if isinstance(error, StoreError) else translate(error)


def translate(error: BaseException) -> StoreError:
    """Any error of redis-py as ours."""
    text = shown(str(error))
    if isinstance(error, errors.OutOfMemoryError) or "OOM " in text:
        return StoreFull()
    if isinstance(error, errors.AuthenticationError):
        why = text.rstrip(".")
        return StoreError(f"Redis refused the credentials: {why}. Look at the user and password")
    passing = isinstance(error, _PASSING_ERRORS) or any(word in text for word in _PASSING)
    is_no_host = isinstance(error.__cause__, UnicodeError)
    if isinstance(error, errors.ConnectionError) and (is_no_host or _NOT_REACHED in text):
        return StoreUnavailable(
            f"Redis cannot be reached ({text}) Is it running, and is the URL right? What carries "
            "an id, as every job does, can be sent again without harm"
        )
    if passing or isinstance(error, LOST):
        return StoreUnavailable(
            f"Redis gave no usable answer ({type(error).__name__}: {text}). Whether the command "
            "ran is unknown; every operation that carries an id can be repeated"
        )
    if "WRONGTYPE" in text:
        return CorruptKey("a key")
    return StoreError(f"Redis refused: {text}")


@contextmanager
def heeding_cancellation() -> Generator[None]:
    """Cancelled within, cancelled at the end of it.

    redis-py sends through ``asyncio.wait_for``, which loses a cancellation that arrives in the
    same turn as its result (CPython 37658, mended in Python 3.12). A task that was to end would
    live for ever.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


def is_passing(calls: Sequence[Call[Any]], error: BaseException) -> bool:
    """Whether to ask again: it may go better then, and every call may be repeated."""
    return isinstance(problem_of(error), StoreUnavailable) and all(one.repeatable for one in calls)


def pauses(seconds: float, began: float | None = None) -> Iterator[float]:
    """How long to sleep before each next try, with full jitter, until ``seconds`` are over."""
    end = (monotonic() if began is None else began) + seconds
    bound = _FIRST_PAUSE_S
    while True:
        pause = random.uniform(0, bound)
        if monotonic() + pause > end:
            return
        yield pause
        bound = min(_LONGEST_PAUSE_S, bound * 2)


ERROR_REPLY = errors.ResponseError
REFUSED = errors.RedisError
"""Also what a connection is refused with before the first command."""
TROUBLE = (*LOST, REFUSED, StoreUnavailable)
"""What a trip may fail with."""
