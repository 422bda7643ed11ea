"""What a stranger may write into a stream: cases by name, and any number of mutants of a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from rqueue.config import MAX_PAYLOAD

Fields = dict[str | bytes, str | bytes]
MB = 1 << 20
LARGE = 250_000
"""Bytes that are still decoded."""


def packed(**told: Any) -> bytes:
    return msgspec.msgpack.encode(told)


SOUND = packed(task="work", args=[0], v=1)
FULL: dict[str, Any] = {
    "task": "work",
    "v": 1,
    "args": [0, "note"],
    "kwargs": {},
    "created": 1,
    "expires": 0,
    "timeout": 5,
    "retry": {"max_attempts": 2, "base": 0.05},
    "result_ttl": 60,
    "unique": "key",
    "headers": {"h": "x"},
}
_TASK = b"\xa4task\xa4work"
_CALL = b"\x82" + _TASK + b"\xa4args"
_TAKEN = b"\x82\xa4task\xa4take\xa4args"
"""A call of the task that takes anything."""


def maps(count: int) -> bytes:
    """A list of empty maps, a byte each, and 64 bytes and more each when decoded."""
    return b"\xdd" + count.to_bytes(4) + b"\x80" * count


_JSON_LISTS = b'{"task": "take", "args": [[%b]]}'

DECODE: dict[str, bytes] = {
    "empty": b"",
    "truncated": SOUND[:-1],
    "never used byte": b"\xc1",
    "trailing": SOUND + b"\x80",
    "array32 of 4G": b"\xdd\xff\xff\xff\xff",
    "map32 of 4G": b"\xdf\xff\xff\xff\xff",
    "bin32 of 4G": b"\xc6\xff\xff\xff\xff",
    "str32 of 4G": b"\xdb\xff\xff\xff\xff",
    "arguments of 4G": _CALL + b"\xdd\xff\xff\xff\xff",
    "a text of 4G among arguments": _CALL + b"\x91\xdb\xff\xff\xff\xff",
    "an integer for a key": b"\x81\x01\x02",
    "bytes for a key": b"\x81\xc4\x04task\xa4work",
    "a list for a key": b"\x81\x90\x02",
    "a map for a key": b"\x81\x80\x02",
    "task is an unknown extension": b"\x81\xa4task\xd4\x2a\x00",
    "created is a timestamp out of range": b"\x82"
    + _TASK
    + b"\xa7created\xc7\x0c\xff"
    + 12 * b"\xff",
    "invalid utf-8 in the task": b"\x81\xa4task\xa2\xff\xfe",
    "250 kB of empty maps": b"\x80" * LARGE,
    "250 kB of lists in lists": b"\x91" * LARGE,
    "an ignored field 1000 deep, cut off": b"\x82" + _TASK + b"\xa1x" + b"\x91" * 1000,
    "arguments 100,000 deep": _CALL + b"\x91" * 100_000 + b"\x00",
    "a task that none can be": packed(task="x\n" * 1000),
    "huge integer": b'{"task": "work", "created": 1' + b"0" * 5000 + b"}",
    "huge version": b"\x82" + _TASK + b"\xa1v\xcf" + b"\xff" * 8,
    "version 99": packed(**FULL | {"v": 99}),
    "nan timeout": packed(**FULL | {"timeout": float("nan")}),
    "infinite result_ttl": packed(**FULL | {"result_ttl": float("inf")}),
    "nan in json": b'{"task": "work", "timeout": NaN}',
    "json cut off": json.dumps(FULL).encode()[:-1],
    "json 250 kB deep": b'{"task": "work", "args": ' + b"[" * LARGE,
    "json with a lone surrogate": b'{"task": "\\ud800"}',
} | {
    f"{name} is {wrong!r}": packed(**FULL | {name: wrong})
    for name in FULL
    for wrong in (None, [], {}, "text", b"bytes", -(2**63), 1e308, True)
    if name not in ("args", "kwargs")
    and not (name in ("headers", "retry") and wrong == {})
    and not (name == "retry" and wrong is None)
    and not (name == "unique" and wrong == "text")
    and not (name == "task" and wrong == "text")
}
"""Envelopes that are none."""

ARGUMENTS: dict[str, bytes] = {
    "args is a map": packed(task="work", args={}),
    "kwargs is a list": packed(task="work", args=[0], kwargs=[]),
    "250 kB of empty maps as arguments": _CALL + maps(LARGE),
    "one argument of 250 kB of empty maps": _CALL + b"\x91" + maps(LARGE),
    "an untyped argument 65 deep": _TAKEN + b"\x91" * (1 + 65) + b"\x00",
    "arguments 200 deep": _CALL + b"\x91" * 200 + b"\x00",
    "a huge integer": b'{"task": "work", "args": [1' + b"0" * 5000 + b"]}",
    "an infinite number": packed(task="work", args=[float("inf")]),
    "no number": packed(task="work", args=[float("nan")]),
    "an unknown extension": _CALL + b"\x91\xd4\x2a\x00",
    "a timestamp out of range": _CALL + b"\x91\xc7\x0c\xff" + 12 * b"\xff",
    "invalid utf-8": _CALL + b"\x92\x00\xa2\xff\xfe",
    "a wrong policy": packed(**FULL | {"retry": {"max_attempts": float("inf")}}),
    "a key that is no text": b"\x83" + _TASK + b"\xa4args\x91\x00\xa6kwargs\x81\x01\x02",
}
"""Calls that do not fit the task."""

UNTYPED: dict[str, bytes] = {
    "250 kB of empty maps": _TAKEN + b"\x91" + maps(LARGE),
    "250 kB of empty lists in json": _JSON_LISTS % b",".join([b"[]"] * (LARGE // 3)),
    "64 deep": _TAKEN + b"\x91" * (1 + 64) + b"\x00",
}
"""Calls that run: what they take is bounded by what may be sent."""

TOO_LARGE: dict[str, bytes] = {
    "10 MB of empty maps": b"\x80" * (10 * MB),
    "10 MB of lists in lists": b"\x91" * (10 * MB),
    "10 MB of empty maps as arguments": _CALL + maps(10 * MB),
    "one argument of 10 MB of empty maps": _CALL + b"\x91" + maps(10 * MB),
    "an untyped argument of 10 MB of empty maps": _TAKEN + b"\x91" + maps(10 * MB),
    "10 MB of empty lists in json": _JSON_LISTS % b",".join([b"[]"] * (10 * MB // 3)),
    "json 10 MB deep": b'{"task": "work", "args": ' + b"[" * (10 * MB),
    "10 MB of headers": packed(task="work", args=[0], headers={f"{n}": "" for n in range(MB)}),
    "17 MB of text": packed(task="work", args=[0, "x" * (17 * MB)]),
    "a byte too many": packed(task="work", args=[0, "x" * (MAX_PAYLOAD - 22)]),
}
"""More than the 256 KiB that workers decode unless their app says otherwise."""

FIELDS: dict[str, Fields] = {
    "thousands of fields": {f"f{n}": "v" for n in range(5000)},
    "fields that are no text": {b"\xff": b"\xfe", b"": b"", b"\0\n": b"\r\n"},
    "an id with a glob": {"i": "*?[a]"},
    "an id with a line": {"i": "a\nb\r\n"},
    "an id of 200": {"i": "x" * 200},
    "an id with a hash tag": {"i": "a}{b"},
    "numbers that are none": {"a": "one", "n": "nan", "N": "-nan", "x": "nan"},
    "numbers below nothing": {"a": "-5", "n": "-5", "N": "-5", "x": "-5"},
    "numbers beyond counting": {"a": "1e300", "n": "1e300", "N": "1e300", "x": "1e300"},
    "numbers of 4000 digits": {"a": "9" * 4000, "n": "9" * 4000, "N": "9" * 4000, "x": "9" * 4000},
    "an odd priority": {"p": "normal\n"},
}
"""What stands beside a sound call, and must not matter."""

TOKENS = ("", "one", "nan", "-5", "1e300", "9" * 4000, "7")
"""Of entries that pass for rqueue's own."""


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Envelopes, each with a few things changed by chance."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(_STOCK)(chance))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            chance.choice(_CHANGES)(chance, data)
        yield bytes(data)


def _typed(chance: random.Random) -> bytes:
    """A call with a value of any kind in one of its fields."""
    told = FULL | {chance.choice(list(FULL)): chance.choice(_ODD)}
    return (packed(**told) if chance.random() < 0.7 else _json(told)) or SOUND


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, default=repr).encode("utf-8", "surrogatepass")


_ODD: list[Any] = [
    None, True, 0, -1, 2**63, 2**64 - 1, 1.5, float("nan"), float("-inf"), 1e308, "", "x" * 300,
    "\0\n\x1b[2J", b"\xff", [], [[]], {}, {"a": {}}, [0], [0, "n", 1], {"ms": 0},
    {"max_attempts": 1e9},
]  # fmt: skip
_STOCK: list[Callable[[random.Random], bytes]] = [
    lambda _: SOUND,
    lambda _: packed(**FULL),
    lambda _: _json(FULL),
    _typed,
    _typed,
]
_NASTY: list[bytes] = [
    b"\xc1",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xd4\x7f",
    b"\xff",
    b"\0",
    b"{",
    b"\x91" * 70,
]


def _flip(chance: random.Random, data: bytearray) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _put(chance: random.Random, data: bytearray) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _drop(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.randrange(1, 5)]


def _insert(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.choice(_NASTY)


def _repeat(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data) + 1)
    data[start:start] = data[start : start + chance.randrange(1, 20)]


_CHANGES = [_flip, _flip, _put, _cut, _drop, _insert, _repeat]
