"""Keys, and what they do to calls, results and errors in Redis: sign them, or encrypt them.

    0xC1 | kind | length of the key id | key id | MAC or nonce | body

The mark 0xC1 begins no msgpack and no JSON, so what is protected is never taken for what is not.
The check covers this head, what the bytes are, the queue and the job: they fit nowhere else.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import Any, ClassVar, Literal, cast

import msgspec

from rqueue.errors import ConfigError, ProtectionError

Kept = Literal["call", "result", "error", "schedule"]
"""What the bytes are; one is never accepted as another."""

_MARK = 0xC1
_MARKED = bytes([_MARK])
_HEAD = 3
_SIGNED, _ENCRYPTED = 1, 2
_MAC = 32
_NONCE = 12
_TAG = 16
_SMALLEST = {_SIGNED: _MAC, _ENCRYPTED: _NONCE + _TAG}
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")
_LONGEST_KEY_ID = 32


class _Parts(msgspec.Struct, frozen=True):
    """Protected bytes, taken apart but not yet believed."""

    kind: int
    key_id: bytes
    head: bytes
    rest: bytes


def is_protected(data: bytes) -> bool:
    """Whether these bytes look signed or encrypted, by whomever."""
    return _parts(data) is not None


def _parts(data: bytes) -> _Parts | None:
    if len(data) < _HEAD or data[0] != _MARK:
        return None
    kind, length = data[1], data[2]
    end = _HEAD + length
    if not 1 <= length <= _LONGEST_KEY_ID or len(data) < end + _SMALLEST.get(kind, len(data)):
        return None
    return _Parts(kind, data[_HEAD:end], data[:end], data[end:])


def _context(head: bytes, what: Kept, queue: str, job_id: str) -> bytes:
    """What is checked beside the body. Every part has its length: none can move into another."""
    parts = [what.encode(), queue.encode(), job_id.encode()]
    return head + b"".join(len(part).to_bytes(2) + part for part in parts)


class Protection:
    """How the calls, results and errors of an app stand in Redis. This one leaves them plain."""

    def protect(self, data: bytes, what: Kept, queue: str, job_id: str) -> bytes:
        """The bytes as they go to Redis; ``job_id`` is in its short form."""
        del what, queue, job_id
        return data

    def open(self, data: bytes, what: Kept, queue: str, job_id: str) -> bytes:
        """The bytes as they were before ``protect``; nothing of them is decoded before.

        Raises:
            ProtectionError: they are not what was protected for this very place.
        """
        del queue, job_id
        if data[:1] == _MARKED and is_protected(data):
            raise ProtectionError(
                "no_keys",
                f"this {what} is signed or encrypted, and the app has no keys. "
                "Give it App(protection=...) with those of the others",
            )
        return data

    def content_key(self, queue: str, job_id: str) -> bytes:
        """The key of the digest of a call's content."""
        del job_id
        return queue.encode()


PLAIN = Protection()


def check_protection(protection: object) -> Protection:
    """Return it, or raise ``ConfigError`` for what is none; what it is may be a key: not told."""
    if isinstance(protection, Protection):
        return protection
    raise ConfigError(
        "protection must be Signed({...}, current=...) or Encrypted({...}, current=...), "
        f"not a {type(protection).__name__}"
    )


class _Keyed(Protection, ABC):
    """A protection with keys: several open, one protects."""

    _kind: ClassVar[int]
    _reason: ClassVar[Literal["bad_signature", "decrypt"]]
    _done: ClassVar[str]
    _key_sizes: ClassVar[tuple[int, int]]

    def __init__(
        self, keys: Mapping[str, bytes], *, current: str, accept_plain: bool = False
    ) -> None:
        self._keys = self._checked(keys)
        if current not in self._keys:
            raise ConfigError(
                f"current is not the id of a key of {type(self).__name__}(...). There are: "
                f"{', '.join(self._keys) or 'none'}"
            )
        self._current = current
        self._accept_plain = accept_plain
        head = bytes([_MARK, self._kind, len(current)]) + current.encode()
        self._head = head

    def open(self, data: bytes, what: Kept, queue: str, job_id: str) -> bytes:
        """As in ``Protection``; plain bytes are opened with ``accept_plain`` only."""
        parts = _parts(data)
        if parts is None and self._accept_plain and data[:1] != _MARKED:
            return data
        if parts is None:
            raise self._refusal(f"this {what} is not {self._done}: whoever wrote it had no keys")
        if parts.kind != self._kind:
            raise self._refusal(f"this {what} is protected, but not {self._done}")
        key_id = parts.key_id.decode("ascii", "replace")
        if key_id not in self._keys:
            raise self._refusal(
                f"this {what} is {self._done} with the key {key_id!a}, which is not known here"
            )
        body = self._opened(key_id, parts, _context(parts.head, what, queue, job_id))
        if body is None:
            raise self._refusal(
                f"this {what} was not {self._done} for this job of this queue, or was changed"
            )
        return body

    @abstractmethod
    def _opened(self, key_id: str, parts: _Parts, context: bytes) -> bytes | None:
        """The body, or None if it is not what was protected."""

    def _refusal(self, message: str) -> ProtectionError:
        return ProtectionError(self._reason, message)

    def _checked(self, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        """The keys, if all can be used; no sentence about them shows any of their bytes."""
        low, high = self._key_sizes
        sizes = f"{low} bytes" if low == high else f"{low} to {high} bytes"
        for key_id, key in cast("Mapping[Any, Any]", keys).items():
            if not isinstance(key_id, str) or not _KEY_ID.match(key_id):
                # Not shown: it may be a key that was put in the wrong place.
                raise ConfigError(
                    "the id of a key must be a text of 1-32 characters of A-Z a-z 0-9 . _ - that "
                    "begins with a letter or a digit: {'2026-11': key}"
                )
            if not isinstance(key, bytes):
                raise ConfigError(
                    f"key {key_id!r} is a {type(key).__name__}; it must be {sizes}, as from "
                    "bytes.fromhex(os.environ['MY_KEY'])"
                )
            if not low <= len(key) <= high:
                raise ConfigError(
                    f"key {key_id!r} has {len(key)} bytes; {type(self).__name__} takes {sizes}, "
                    "as from secrets.token_bytes(32)"
                )
        return dict(keys)

    def __repr__(self) -> str:
        """The ids of the keys, never the keys."""
        ids = ", ".join(sorted(self._keys))
        return f"<{type(self).__name__} keys: {ids}; current: {self._current}>"


class Signed(_Keyed):
    """Sign with keyed BLAKE2b: who has no key can read, but not change, forge or move.

    Args:
        keys: keys by their ids, 32 to 64 bytes each; all of them open.
        current: the id of the key that signs.
        accept_plain: take what is not signed, too; only while keys are introduced.

    Raises:
        ConfigError: a key cannot be used, or ``current`` is none of them.
    """

    _kind = _SIGNED
    _reason = "bad_signature"
    _done = "signed"
    _key_sizes = (32, blake2b.MAX_KEY_SIZE)

    def protect(self, data: bytes, what: Kept, queue: str, job_id: str) -> bytes:
        """The bytes behind their signature."""
        context = _context(self._head, what, queue, job_id)
        return b"".join((self._head, self._mac(self._current, context, data), data))

    def _opened(self, key_id: str, parts: _Parts, context: bytes) -> bytes | None:
        mac, body = parts.rest[:_MAC], parts.rest[_MAC:]
        return body if compare_digest(mac, self._mac(key_id, context, body)) else None

    def _mac(self, key_id: str, context: bytes, body: bytes) -> bytes:
        key = self._keys[key_id]
        mac = blake2b(context, digest_size=_MAC, key=key, person=b"rqueue-signed-1")
        mac.update(body)
        return mac.digest()


class Encrypted(_Keyed):
    """Encrypt with AES-256-GCM: who has no key can neither read nor change, forge or move.

    Args:
        keys: keys by their ids, 32 bytes each; all of them open.
        current: the id of the key that encrypts.
        accept_plain: take what is not encrypted, too; only while keys are introduced.

    Raises:
        ConfigError: a key cannot be used, ``current`` is none of them, or the package
            ``cryptography`` is not there.
    """

    _kind = _ENCRYPTED
    _reason = "decrypt"
    _done = "encrypted"
    _key_sizes = (32, 32)

    def __init__(
        self, keys: Mapping[str, bytes], *, current: str, accept_plain: bool = False
    ) -> None:
        super().__init__(keys, current=current, accept_plain=accept_plain)
        try:
            # Here, not above: only those who encrypt have the package.
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an extra: only who encrypts pays
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an extra: only who encrypts pays
        except ImportError as error:
            raise ConfigError(
                f"Encrypted(...) needs the package cryptography ({error}): "
                "pip install 'rqueue[crypto]'"
            ) from error
        self._ciphers = {key_id: AESGCM(key) for key_id, key in self._keys.items()}
        self._invalid = InvalidTag

    def protect(self, data: bytes, what: Kept, queue: str, job_id: str) -> bytes:
        """The bytes encrypted, under a nonce of their own."""
        nonce = os.urandom(_NONCE)
        context = _context(self._head, what, queue, job_id)
        sealed = self._ciphers[self._current].encrypt(nonce, data, context)
        return b"".join((self._head, nonce, sealed))

    def content_key(self, queue: str, job_id: str) -> bytes:
        """A secret one: a digest that anybody can compute tells a short content by trial.

        And one of this job alone, or equal digests would tell which calls are equal. Of the key
        whose id sorts first, the oldest if they are dates: a new key then changes no digest, and
        a call that is sent again over the rotation is still a duplicate.
        """
        oldest = self._keys[min(self._keys)]
        place = _context(b"", "call", queue, job_id)
        return blake2b(place, digest_size=32, key=oldest, person=b"rqueue-digest-1").digest()

    def _opened(self, key_id: str, parts: _Parts, context: bytes) -> bytes | None:
        nonce, sealed = parts.rest[:_NONCE], parts.rest[_NONCE:]
        try:
            return self._ciphers[key_id].decrypt(nonce, sealed, context)
        except self._invalid:
            return None
