"""Whatever is changed in protected bytes, or said of their place: they do not open."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rqueue.errors import ProtectionError
from rqueue.protection import Encrypted, Signed

KEYS = {"2026-11": b"a" * 32, "2027-05": b"b" * 32}
PROTECTIONS: list[Any] = [Signed(KEYS, current="2027-05"), Encrypted(KEYS, current="2027-05")]
names = st.text("abc:~", max_size=4)
places = st.tuples(st.sampled_from(["call", "result", "error"]), names, names)
every_one = pytest.mark.parametrize("keys", PROTECTIONS, ids=lambda one: type(one).__name__)


@every_one
@given(body=st.binary(max_size=200), place=places)
def test_what_is_protected_opens_where_it_belongs(keys: Any, body: bytes, place: Any) -> None:
    assert keys.open(keys.protect(body, *place), *place) == body


@every_one
@given(body=st.binary(max_size=200), place=places, data=st.data())
def test_any_flipped_bit_is_refused(keys: Any, body: bytes, place: Any, data: Any) -> None:
    sealed = bytearray(keys.protect(body, *place))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(ProtectionError):
        keys.open(bytes(sealed), *place)


@every_one
def test_every_flipped_bit_of_one_call_is_refused(keys: Any) -> None:
    sealed = keys.protect(b"\x82\xa4task\xa4ping\xa1v\x01", "call", "mail", "order-7")

    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProtectionError):
            keys.open(bytes(changed), "call", "mail", "order-7")


@every_one
@given(body=st.binary(max_size=50), data=st.data())
def test_bytes_cut_off_or_added_are_refused(keys: Any, body: bytes, data: Any) -> None:
    sealed = keys.protect(body, "call", "q", "x")
    end = data.draw(st.integers(0, len(sealed) - 1))
    more = data.draw(st.binary(min_size=1, max_size=40))

    for changed in (sealed[:end], sealed + more, more + sealed):
        with pytest.raises(ProtectionError):
            keys.open(changed, "call", "q", "x")


@every_one
@given(body=st.binary(max_size=50), made=places, asked=places)
def test_no_other_place_is_taken(keys: Any, body: bytes, made: Any, asked: Any) -> None:
    assume(made != asked)

    with pytest.raises(ProtectionError):
        keys.open(keys.protect(body, *made), *asked)


@every_one
@given(data=st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(b"\xc1\x01".__add__)))
def test_bytes_of_a_stranger_are_refused(keys: Any, data: bytes) -> None:
    with pytest.raises(ProtectionError):
        keys.open(data, "call", "q", "x")
