"""The envelope: one call as a msgpack map (or a JSON map, for producers in other languages).

The layout is public; ``docs/protocol.md`` describes it and its golden vectors are tests. Readers
ignore unknown fields; Redis and the scripts never open it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from rqueue.errors import CodecError
from rqueue.job import JobInfo
from rqueue.names import is_task
from rqueue.veiled import Veiled

VERSION = 1
_NO_ARGS = msgspec.Raw(b"\x90")
_NO_KWARGS = msgspec.Raw(b"\x80")
_NO_JSON_ARGS = msgspec.Raw(b"[]")
_NO_JSON_KWARGS = msgspec.Raw(b"{}")
_LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""
_LONGEST_S = 366 * 24 * 3600
_LONGEST_KEY = 256
LATEST_VERSION = 1_000_000
"""Of a task's arguments."""
_JSON_MAP = b"{"


class Envelope(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One call of a task, as it travels.

    Attributes:
        task: the task's name.
        v: version of this layout; 0 = left out, read as 1.
        args: positional arguments, encoded on their own, opened by the task's own types.
        kwargs: keyword arguments, likewise.
        created: ms since the epoch by the producer's clock; not part of the content. 0 = as the
            job's id tells, if it does.
        expires: ms since the epoch after which the job must not be started; 0 = never.
        deadline: ms since the epoch beyond which no attempt begins or runs; 0 = none.
        timeout: seconds an attempt may take; 0 = the task's.
        retry: numbers of a retry policy that replace the task's.
        result_ttl: seconds the result is kept; -1 = the task's.
        unique: the unique key the job holds until it ends.
        headers: text for middleware (trace context, locale, tenant); not part of the content.
        hidden: positions and names of the arguments that must not be shown; not part of it either.
        version: which version of its task's arguments these are.
    """

    task: str
    v: int = 0
    args: msgspec.Raw = _NO_ARGS
    kwargs: msgspec.Raw = _NO_KWARGS
    created: int = 0
    expires: int = 0
    deadline: int = 0
    timeout: float = 0
    retry: dict[str, float] | None = None
    result_ttl: float = -1
    unique: str = ""
    headers: dict[str, str] = {}
    hidden: list[int | str] = []
    version: int = 1


class OpenedEnvelope(Veiled, msgspec.Struct, frozen=True, gc=False):
    """An envelope with the codec its arguments are in.

    Attributes:
        envelope: the call.
        is_json: whether its arguments are JSON instead of msgpack.
        secrets: further values that must not be shown: of the arguments that it came with, if they
            were lifted from an older version.
    """

    veiled = ("envelope", "secrets")

    envelope: Envelope
    is_json: bool
    secrets: tuple[Any, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_sorting_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Envelope)
_json_decoder = msgspec.json.Decoder(Envelope)


def seal(envelope: Envelope) -> bytes:
    """Encode an envelope as msgpack."""
    envelope.v = VERSION
    return _encoder.encode(envelope)


def open_envelope(data: bytes, largest: int = sys.maxsize) -> OpenedEnvelope:
    """Decode an envelope of at most ``largest`` bytes.

    Raises:
        CodecError: the bytes are no envelope, or one of a newer version.
    """
    if len(data) > largest:
        raise CodecError(f"an envelope of {len(data):,} bytes; at most {largest:,} are read")
    is_json = data[:1] == _JSON_MAP
    try:
        envelope = (_json_decoder if is_json else _decoder).decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        message = f"not an envelope: {error}"
        raise CodecError(message) from error
    if envelope.v not in (0, VERSION):
        message = (
            f"envelope version {envelope.v}; this rqueue reads up to {VERSION}. "
            "Upgrade the workers before the producers"
        )
        raise CodecError(message)
    if not _is_sane(envelope):
        message = f"an envelope of {envelope.task!r:.80} with a name or a number out of bounds"
        raise CodecError(message)
    if is_json:  # the defaults are msgpack; what is decoded next must be of one kind
        envelope.args = _NO_JSON_ARGS if envelope.args is _NO_ARGS else envelope.args
        envelope.kwargs = _NO_JSON_KWARGS if envelope.kwargs is _NO_KWARGS else envelope.kwargs
    return OpenedEnvelope(envelope, is_json)


def _is_sane(envelope: Envelope) -> bool:
    """Whether its names can be names and its numbers can be counted with.

    NaN, infinity and ages of the universe cannot. A task of a name that none can have would wait
    an hour for nothing, and its name would stand in records and logs.
    """
    ttl = envelope.result_ttl
    return (
        is_task(envelope.task)
        and 0 <= envelope.created <= _LATEST_MS
        and 0 <= envelope.expires <= _LATEST_MS
        and 0 <= envelope.deadline <= _LATEST_MS
        and 0 <= envelope.timeout <= _LONGEST_S
        and (ttl == -1 or 0 <= ttl <= _LONGEST_S)
        and len(envelope.unique) <= _LONGEST_KEY
        and 1 <= envelope.version <= LATEST_VERSION
    )


def digest(
    queue: str,
    priority: str,
    envelope: Envelope,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    key: bytes = b"",
) -> bytes:
    """Eight bytes that tell one content from another within a queue.

    Content is the task, the arguments in canonical order, their version if it is not the first,
    and the options; not the time of the call nor its headers. Keyed by the queue, so that equal
    calls of two queues do not look equal, or by ``key``, which then must differ by queue.
    """
    content = (
        envelope.task,
        args,
        kwargs,
        priority,
        envelope.timeout,
        envelope.retry,
        envelope.result_ttl,
        envelope.unique,
    )
    if envelope.version != 1:  # equal arguments of two versions mean two things
        content = (*content, envelope.version)
    hasher = _keyed_hasher(key) if key else _queue_hasher(queue).copy()
    hasher.update(_sorting_encoder.encode(content))
    return hasher.digest()


@lru_cache(maxsize=4096)  # to begin a keyed hash costs as much as the rest of it; never of a secret
def _queue_hasher(queue: str) -> blake2b:
    return _keyed_hasher(queue.encode())


def _keyed_hasher(key: bytes) -> blake2b:
    return blake2b(digest_size=8, key=key, person=b"rqueue-content")


def named(info: JobInfo, largest: int) -> JobInfo:
    """What is known of a job, with its task's name taken from the envelope if need be.

    An envelope of more than ``largest`` bytes is not opened for it.
    """
    if info.task or info.envelope is None:
        return info
    try:
        task = open_envelope(info.envelope, largest).envelope.task
    except CodecError:
        return info
    return msgspec.structs.replace(info, task=task)
