"""Job ids: UUIDv7 made by the client, and their short form inside Redis.

A UUID stands in Redis twice a job (in the key of the record and in the stream entry), so there
its 36 characters are written as ``~`` and 22: base64url of the 16 bytes. The mark keeps the two
spellings apart: no id that a caller may choose begins with it (``rqueue.names``).
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode
from binascii import b2a_base64, unhexlify
from functools import lru_cache

from rqueue.clock import now_ms

_MARK = "~"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_URLSAFE = bytes.maketrans(b"+/", b"-_")
_VERSION = 7
_WITH_VERSION = bytes(_VERSION << 4 | byte & 0x0F for byte in range(256))
_WITH_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))

_AT_ONCE = 256
"""Ids whose random bits are asked of the system together: each request is a system call."""
_RANDOM = 10
_DRAWN = 12
"""Bytes drawn for an id: two more than it takes, as base64 writes three at a time."""
_unused: list[tuple[str, str]] = []
"""What follows the time, in both forms of an id."""
if hasattr(os, "register_at_fork"):  # a forked child must not draw what its parent draws
    os.register_at_fork(after_in_child=_unused.clear)


def new_id() -> str:
    """A new UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, then 74 random bits."""
    return new_ids()[0]


def new_ids() -> tuple[str, str]:
    """A new id, and its form inside Redis, which is dearer to make of it than to make with it."""
    try:
        rest, short = _unused.pop()
    except IndexError:
        rest, short = _draw()
    time, short_time = _written(now_ms())
    return f"{time}-{rest}", f"{short_time}{short}"


@lru_cache(maxsize=1)  # ids that are made together share their millisecond
def _written(ms: int) -> tuple[str, str]:
    """A time as it stands in both forms of an id."""
    raw = ms.to_bytes(6)
    digits, short = raw.hex(), b2a_base64(raw, newline=False).translate(_URLSAFE)
    return f"{digits[:8]}-{digits[8:]}", _MARK + short.decode("ascii")


def _draw() -> tuple[str, str]:
    """Fill up what is unused; returns one more. Safe in threads, as each draws its own."""
    drawn = bytearray(os.urandom(_DRAWN * _AT_ONCE))
    drawn[0::_DRAWN] = drawn[0::_DRAWN].translate(_WITH_VERSION)
    drawn[2::_DRAWN] = drawn[2::_DRAWN].translate(_WITH_VARIANT)
    drawn[_RANDOM::_DRAWN] = bytes(_AT_ONCE)  # what base64 pads with
    digits = [drawn[n : n + _RANDOM].hex() for n in range(0, len(drawn), _DRAWN)]
    shorts = b2a_base64(drawn, newline=False).translate(_URLSAFE).decode("ascii")
    first, *others = [
        (f"{one[:4]}-{one[4:8]}-{one[8:]}", shorts[n * 16 : n * 16 + 14])
        for n, one in enumerate(digits)
    ]
    _unused.extend(others)
    return first


def shorten(job_id: str) -> str:
    """The form of an id inside Redis: UUIDs short, every other id as it is."""
    if len(job_id) == 36 and _UUID.match(job_id):
        # As urlsafe_b64encode writes it, without what that costs.
        written = b2a_base64(unhexlify(job_id.replace("-", "")), newline=False)
        return _MARK + written.translate(_URLSAFE, b"=").decode("ascii")
    return job_id


def lengthen(short: str) -> str:
    """The id as callers see it; the inverse of ``shorten``."""
    if len(short) == 23 and short[0] == _MARK:
        try:
            digits = urlsafe_b64decode(short[1:] + "==").hex()
        except ValueError:
            return short
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return short


def made_ms(short: str) -> int:
    """When an id was made, ms since the epoch by its maker's clock; 0 of one that does not tell."""
    if len(short) != 23 or short[0] != _MARK:
        return 0
    try:
        raw = urlsafe_b64decode(short[1:] + "==")
    except ValueError:
        return 0
    # The decoder skips what is no base64: a stranger's id may have fewer bytes than a UUID.
    is_ours = len(raw) == 16 and raw[6] >> 4 == _VERSION
    return int.from_bytes(raw[:6], "big") if is_ours else 0


def is_generated(short: str) -> bool:
    """Whether an id in its short form is a UUID, which ``new_id`` makes."""
    return short.startswith(_MARK)
