"""Codec and signature: what goes in comes out; what is hostile is refused, never a crash."""

from __future__ import annotations

import math
import re
import tracemalloc
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from time import thread_time
from typing import Any
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from rqueue.codec import decode, decode_error, encode
from rqueue.envelope import Envelope, open_envelope, seal
from rqueue.errors import CodecError, InvalidArguments
from rqueue.ids import lengthen, shorten
from rqueue.signature import Signature
from rqueue.store.replies import delivery

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)
ANYTHING = st.recursive(
    PLAIN | st.text() | st.integers() | st.floats() | st.complex_numbers() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Leaf:
    name: str
    weight: Decimal
    seen: datetime | None = None


@dataclass
class Tree:
    leaves: list[Leaf] = field(default_factory=list)
    by_id: dict[str, Colour] = field(default_factory=dict)
    branches: list[Tree] = field(default_factory=list)


LEAVES = st.builds(
    Leaf,
    TEXT,
    st.decimals(allow_nan=False, allow_infinity=False),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)
TREES = st.recursive(
    st.builds(
        Tree,
        st.lists(LEAVES, max_size=2),
        st.dictionaries(TEXT, st.sampled_from(Colour)),
        st.just([]),
    ),
    lambda inner: st.builds(Tree, st.lists(LEAVES, max_size=2), st.just({}), st.lists(inner)),
    max_leaves=3,
)


async def everything(
    a: int, b: Tree, /, c: set[str], *rest: float, key: UUID | None = None, **more: Colour
) -> Tree:
    return b


SIGNATURE = Signature(everything)


@given(PLAIN)
def test_plain_data_comes_back(value: Any) -> None:
    assert decode(encode(value)) == value


@given(ANYTHING)
def test_anything_is_encoded_or_refused(value: Any) -> None:
    with suppress(CodecError):
        decode(encode(value))


@given(st.binary())
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    with suppress(CodecError):
        decode(data)
    with suppress(CodecError):
        open_envelope(data)
    with suppress(CodecError):
        open_envelope(b"{" + data)
    with suppress(CodecError):
        SIGNATURE.decode(data, b"\x80")
    with suppress(CodecError):
        SIGNATURE.decode(b"\x90", data)
    with suppress(CodecError):
        SIGNATURE.decode_result(data)
    decode_error(data)


@given(
    st.integers(-(2**63), 2**63 - 1),
    TREES,
    st.sets(TEXT),
    st.lists(st.floats(allow_nan=False)),
    st.none() | st.uuids(),
    st.dictionaries(TEXT.filter(lambda name: name not in ("c", "key")), st.sampled_from(Colour)),
)
def test_typed_arguments_come_back_as_what_they_were(
    a: int, b: Tree, c: set[str], rest: list[float], key: UUID | None, more: dict[str, Colour]
) -> None:
    bound = SIGNATURE.bind((a, b, c, *rest), {"key": key, **more})

    args, kwargs = SIGNATURE.decode(*SIGNATURE.encode(*bound))

    assert (args, kwargs) == ((a, b, c, *rest), {"key": key, **more})


@given(TREES)
def test_a_typed_result_comes_back_as_what_it_was(tree: Tree) -> None:
    assert SIGNATURE.decode_result(SIGNATURE.encode_result(tree)) == tree


@given(st.lists(ANYTHING, max_size=4), st.dictionaries(st.text(), ANYTHING, max_size=3))
def test_any_call_is_accepted_or_refused(args: list[Any], kwargs: dict[str, Any]) -> None:
    try:
        pieces = SIGNATURE.encode(*SIGNATURE.bind(tuple(args), kwargs))
    except InvalidArguments:
        return
    SIGNATURE.decode(*pieces)


ENVELOPES = st.builds(
    Envelope,
    task=st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:<>-]{0,199}", fullmatch=True),
    created=st.integers(0, 2**47),
    timeout=st.floats(0, 1e6),
    unique=TEXT.map(lambda text: text[:256]),
    headers=st.dictionaries(TEXT, TEXT),
    retry=st.none() | st.dictionaries(TEXT, st.floats(allow_nan=False)),
)


@given(ENVELOPES)
def test_an_envelope_comes_back(envelope: Envelope) -> None:
    opened = open_envelope(seal(envelope))

    assert (opened.envelope, opened.is_json) == (envelope, False)


@given(ENVELOPES, st.integers(0, 10_000), st.binary(min_size=1, max_size=1))
def test_an_envelope_with_a_changed_byte_is_read_or_refused(
    envelope: Envelope, place: int, byte: bytes
) -> None:
    data = seal(envelope)
    place %= len(data)

    with suppress(CodecError):
        found = open_envelope(data[:place] + byte + data[place + 1 :]).envelope
        assert math.isfinite(found.timeout)


HEADS = st.sampled_from(
    [0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xC1, *range(0xC4, 0xCA), *range(0xD4, 0xE0)]
)
SIZES = st.sampled_from(
    [b"", b"\0", b"\xff", b"\xff\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]
)
BOMBS = st.lists(st.tuples(HEADS, SIZES, st.binary(max_size=6)), min_size=1, max_size=6).map(
    lambda parts: b"".join(bytes([head]) + size + rest for head, size, rest in parts)
)
"""Bytes that begin like msgpack and claim more than there is."""
LARGEST_MEMORY = 1 << 20


@given(BOMBS, st.sampled_from([b"", b"\x82\xa4task\xa1x\xa4args", b"\x82\xa4task\xa1x\xa7headers"]))
def test_bytes_that_claim_gigabytes_take_no_more_than_they_are(data: bytes, before: bytes) -> None:
    tracemalloc.start()
    try:
        for read in (open_envelope, lambda d: SIGNATURE.decode(d, b"\x80")):
            with suppress(CodecError):
                read(before + data)
            with suppress(CodecError):
                SIGNATURE.decode(b"\x90", before + data)
        assert tracemalloc.get_traced_memory()[1] < LARGEST_MEMORY
    finally:
        tracemalloc.stop()


REPEATED = st.builds(
    lambda piece, count: piece * count,
    st.binary(min_size=1, max_size=4),
    st.sampled_from([10, 1000, 100_000]),
)


@given(REPEATED, st.sampled_from([b"", b"\x82\xa4task\xa1x\xa4args", b'{"task": "x", "args": ']))
def test_long_and_deep_bytes_are_read_or_refused_at_once(data: bytes, before: bytes) -> None:
    began = thread_time()
    for read in (decode, open_envelope, lambda d: SIGNATURE.decode(d, b"\x80")):
        with suppress(CodecError):
            read(before + data)
    with suppress(CodecError):
        SIGNATURE.decode(b"\x90", before + data, is_json=True)
    assert thread_time() - began < 1


@given(st.binary() | BOMBS | REPEATED)
@example(b"9" * 16)
@example(b"9" * 5000)
@example(b"-5")
def test_what_a_stranger_wrote_in_a_field_of_an_entry_is_a_count_or_none(text: bytes) -> None:
    fields = [word for name in (b"i", b"a", b"n", b"t", b"p", b"m") for word in (name, text)]

    found = delivery("q", "normal", "w1", [b"1-0", fields])

    assert found is not None
    assert all(0 <= one < 10**15 for one in (found.attempts, found.crashes, found.token))
    assert found.priority == "normal" or text.decode() == found.priority
    assert re.fullmatch(r"[~A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}", found.job_id)


@given(st.uuids())
def test_every_uuid_has_a_short_form_and_comes_back(one: UUID) -> None:
    assert lengthen(shorten(str(one))) == str(one)


@given(st.text())
def test_any_other_text_comes_back_too(text: str) -> None:
    assert lengthen(shorten(text)) == text or text.startswith("~")
