"""All keys of a namespace, and what keys take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rqueue.store.call import Call, Flow
from rqueue.store.keys import Field
from rqueue.store.replies import number, texts

_AT_ONCE = 1000
_SAMPLES = 20
"""How many elements of a key Redis weighs to tell what all of them take."""
_NO_TTL = -1


def erase(namespace: str) -> Flow[int]:
    """Delete every key of a namespace; how many there were. In turns, other clients come between.

    What is written meanwhile may stay.
    """
    cursor, count = b"0", 0
    while True:
        args = (cursor, "MATCH", f"{namespace}:*", "COUNT", _AT_ONCE)
        cursor, found = yield Call(("SCAN",), (), args, _page)
        if found:
            count += yield Call(("UNLINK",), (), found, number)
        if cursor == b"0":
            return count


def _page(reply: Any) -> tuple[bytes, list[bytes]]:
    cursor, keys = reply
    return cursor, keys


class Weighed(msgspec.Struct, frozen=True):
    """What a key takes.

    Attributes:
        size: bytes with its name and what Redis adds; 0 = there is no such key.
        state: of a job's record; "" of all else.
        lasts: it is a record that does not expire.
    """

    size: int
    state: str = ""
    lasts: bool = False


def page(cursor: bytes, count: int) -> Call[tuple[bytes, list[bytes]] | None]:
    """Some keys of the database, whosever they are; None = this user may not list them."""
    call: Call[tuple[bytes, list[bytes]] | None]
    call = Call(("SCAN",), (), (cursor, "COUNT", count), _page)
    return call.on_refusal(_unknown)


def weigh(keys: Sequence[str | bytes]) -> Flow[list[Weighed] | None]:
    """What these keys take, in one trip; None = this user may not ask."""
    sizes: list[int | None] = yield [_size(key) for key in keys]
    return None if None in sizes else [Weighed(size or 0) for size in sizes]


def weigh_records(keys: Sequence[bytes]) -> Flow[list[Weighed] | None]:
    """What these records of jobs take, and which state they tell; None = one may not ask."""
    told: list[Any] = yield [call for key in keys for call in (_size(key), _state(key), _ttl(key))]
    if None in told[::3]:
        return None
    parts = zip(told[::3], told[1::3], told[2::3], strict=True)
    return [Weighed(size, state, ttl == _NO_TTL) for size, state, ttl in parts]


def _size(key: str | bytes) -> Call[int | None]:
    call: Call[int | None] = Call(("MEMORY", "USAGE"), (), (key, "SAMPLES", _SAMPLES), number)
    return call.on_refusal(_unknown)


def _state(key: bytes) -> Call[str]:
    call = Call(("HGET",), (), (key, Field.STATE), lambda reply: texts([reply or b""])[0])
    return call.on_refusal(lambda _: "")


def _ttl(key: bytes) -> Call[int]:
    return Call(("PTTL",), (), (key,), number).on_refusal(lambda _: 0)


def _unknown(_: str) -> None:
    return None
