"""Values that people pass <-> bytes, by the annotations of their tasks."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

import msgspec

from rqueue.clock import now_ms
from rqueue.errors import CodecError, ProtectionError
from rqueue.job import AttemptError
from rqueue.protection import Protection, is_protected
from rqueue.redaction import Redact, unchanged

MAX_DEPTH = 64
"""Deepest nesting of arguments and results; deeper data meets recursion limits of some decoder."""

PROTECTED = "(protected)"
"""What stands for a result or an error that cannot be opened here."""
CRASH = "WorkerDied"
CRASH_MESSAGE = "the worker stopped renewing its lease while it held this job"

_TYPE_CAP = 200
_MESSAGE_CAP = 4_096
_TRACEBACK_CAP = 16_384

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()
_error_decoder = msgspec.msgpack.Decoder(AttemptError)


def encode(value: Any, *, is_shallow: bool = False) -> bytes:
    """Encode arguments or a result as msgpack; of what ``is_shallow`` the depth is not looked at.

    Raises:
        CodecError: the value cannot be encoded; says where and what would fit.
    """
    try:
        if not is_shallow:
            check_depth(value)
        return _encoder.encode(value)
    except Exception as error:  # a type of the task's own may raise anything
        message = f"cannot be encoded: {error}"
        raise CodecError(message) from error


def decode(data: bytes) -> Any:
    """Decode msgpack of ours without a type."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"not msgpack: {error}"
        raise CodecError(message) from error


def check_depth(value: Any, depth: int = 0) -> None:
    """Raise ``ValueError`` for data nested deeper than ``MAX_DEPTH`` (or containing itself)."""
    if type(value) in _FLAT:
        return
    if depth > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH} levels"
        raise ValueError(message)
    for item in _items(value):
        if type(item) not in _FLAT:
            check_depth(item, depth + 1)


_FLAT = frozenset({str, int, float, bool, bytes, type(None)})


def _items(value: Any) -> Iterable[Any]:
    """What a value is made of; the usual containers first, for the others cost a microsecond."""
    if type(value) in (list, tuple):
        return cast("Iterable[Any]", value)
    if type(value) is dict or isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value).values()
    if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes | bytearray):
        return cast("Iterable[Any]", value)
    return ()


def encode_error(error: AttemptError) -> bytes:
    """Encode one failed attempt."""
    return _encoder.encode(error)


def decode_error(data: bytes) -> AttemptError:
    """Decode one failed attempt; bytes of a stranger become an attempt 0 that shows them."""
    try:
        return _error_decoder.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return AttemptError(attempt=0, type="unreadable", message=repr(data[:200]))


def open_error(
    data: bytes, protection: Protection, queue: str, job_id: str, *, is_crash: bool = False
) -> AttemptError:
    """One failed attempt as it stands in Redis; "(protected)" if it cannot be opened.

    The report of a crash is always plain: reapers write it, for several jobs at once and maybe
    without keys. It tells nothing of the call, and only its time and worker are taken from it.
    """
    try:
        return decode_error(protection.open(data, "error", queue, job_id))
    except ProtectionError as error:
        if not is_crash or is_protected(data):
            return AttemptError(attempt=0, type=PROTECTED, message=str(error))
    told = decode_error(data)
    return AttemptError(
        attempt=0, type=CRASH, message=CRASH_MESSAGE, at=told.at, worker=told.worker
    )


def describe(
    error: BaseException, *, attempt: int, worker: str, redact: Redact = unchanged
) -> AttemptError:
    """One failed attempt as capped text; survives exceptions that raise when they are looked at.

    ``redact`` comes before the cap: half of what must not be seen would not be recognised.
    """
    message = _read("text", lambda: str(error))
    trace = _read("traceback", lambda: "".join(tracebacks.format_exception(error)))
    kind = _read("type", lambda: _qualified(type(error)))
    return AttemptError(
        attempt=attempt,
        type=_clean(kind[:_TYPE_CAP]),
        message=capped(redact(message)),
        traceback=_clean(redact(trace)[-_TRACEBACK_CAP:]),
        at=now_ms(),
        worker=worker,
    )


def _read(what: str, look: Callable[[], str]) -> str:
    """What looking says, as a plain text; a subclass of ``str`` could be hostile again."""
    try:
        return str.__str__(look())
    except BaseException as broken:  # what belongs to a hostile exception may raise anything
        return f"(its {what} cannot be read: {type(broken).__name__})"


def _qualified(kind: type[BaseException]) -> str:
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def capped(text: str) -> str:
    """A text as a record may hold it: not too long, and nothing that UTF-8 cannot carry."""
    return _clean(str(text)[:_MESSAGE_CAP])


def _clean(text: str) -> str:
    """Text that UTF-8 can carry: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
