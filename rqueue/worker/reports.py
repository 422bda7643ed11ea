"""What a worker process tells its supervisor, and how it travels: length, then msgpack."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from rqueue.worker.readings import Readings

EVERY_S = 1.0
"""How often a worker process reports."""
_LENGTH = struct.Struct("!I")
_decode = msgspec.msgpack.Decoder(tuple[str, str, Readings, bool, str, int]).decode


class Report(msgspec.Struct, frozen=True):
    """How a worker process fares.

    Attributes:
        started: why it has not begun yet, or "".
        ready: why it takes no jobs, or "".
        readings: what it has counted, and how things stand.
        has_joined: whether it takes jobs, or did.
        leaves_for: why it ends by itself, if it has done enough.
        stacks: how often it has printed its stacks.
    """

    started: str
    ready: str
    readings: Readings
    has_joined: bool
    leaves_for: str = ""
    stacks: int = 0

    def framed(self) -> bytes:
        """As it is sent."""
        told = msgspec.msgpack.encode(msgspec.structs.astuple(self))
        return _LENGTH.pack(len(told)) + told


class Reports:
    """Puts together what comes in pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Report]:
        """Every report that is complete by now."""
        self._rest += data
        while len(self._rest) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._rest)[0]
            if len(self._rest) < end:
                return
            told = bytes(self._rest[_LENGTH.size : end])
            del self._rest[:end]
            yield Report(*_decode(told))
