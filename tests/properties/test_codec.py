"""Codec and signature: what goes in comes out; what is hostile is refused, never a crash."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from rqueue.codec import decode, decode_error, encode
from rqueue.envelope import Envelope, open_envelope, seal
from rqueue.errors import CodecError, InvalidArguments
from rqueue.ids import lengthen, shorten
from rqueue.signature import Signature

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
    task=TEXT,
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


@given(st.uuids())
def test_every_uuid_has_a_short_form_and_comes_back(one: UUID) -> None:
    assert lengthen(shorten(str(one))) == str(one)


@given(st.text())
def test_any_other_text_comes_back_too(text: str) -> None:
    assert lengthen(shorten(text)) == text or text.startswith("~")
