"""Codec: values as bytes, errors as text, and nothing hostile gets through."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from rqueue.codec import MAX_DEPTH, decode, decode_error, describe, encode, encode_error
from rqueue.errors import CodecError
from rqueue.job import AttemptError


def nested(depth: int, kind: type = list) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = {"k": value} if kind is dict else kind([value])
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**64 - 1,
        -(2**63),
        0.1,
        math.inf,
        "",
        "a\0b",
        "\U0001f600",
        b"\xff\0",
        [],
        {},
        [1, [2, {"k": None}]],
    ],
)
def test_a_plain_value_comes_back(value: Any) -> None:
    assert decode(encode(value)) == value


def test_nan_comes_back() -> None:
    assert math.isnan(decode(encode(math.nan)))


def test_tuples_and_sets_become_lists_where_nothing_says_otherwise() -> None:
    assert [decode(encode(value)) for value in ((1, 2), {3}, frozenset({4}))] == [[1, 2], [3], [4]]


@pytest.mark.parametrize("kind", [list, tuple, dict])
@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_data_may_be_nested_64_deep_within_the_list_of_arguments(kind: type, depth: int) -> None:
    plain = nested(depth, dict if kind is dict else list)

    assert decode(encode(nested(depth, kind))) == plain


@pytest.mark.parametrize("kind", [list, tuple, dict])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 2, 900, 100_000])
def test_deeper_data_is_refused(kind: type, depth: int) -> None:
    with pytest.raises(CodecError, match="nested deeper than 64 levels"):
        encode(nested(depth, kind))


def test_a_list_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(CodecError, match="nested deeper"):
        encode(value)


def test_a_dict_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["me"] = [value]

    with pytest.raises(CodecError, match="nested deeper"):
        encode(value)


@dataclass
class Node:
    child: Any = None


def test_an_object_that_contains_itself_is_refused() -> None:
    node = Node()
    node.child = node

    with pytest.raises(CodecError):
        encode(node)


@pytest.mark.parametrize(
    "value",
    [object(), 2**64, -(2**63) - 1, 10**5000, "\ud800", ["\udfff"], {"\ud800": 1}, len],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_travel_is_refused(value: Any) -> None:
    with pytest.raises(CodecError, match="cannot be encoded"):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        b"\x90\x90",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xa2\xff\xff",
        b"\x91" * 100_000,
    ],
    ids=lambda data: repr(data[:6]),
)
def test_bytes_that_are_no_value_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


class Hostile(Exception):
    """Its text is whatever the test says, or an exception."""

    def __init__(self, text: Any) -> None:
        super().__init__()
        self.text = text

    def __str__(self) -> str:
        if isinstance(self.text, BaseException):
            raise self.text
        return self.text


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


def told(error: BaseException) -> AttemptError:
    return describe(error, attempt=1, worker="w1")


def test_an_exception_is_told_as_text() -> None:
    said = told(raised(ValueError("no"), KeyError("k")))

    assert (said.attempt, said.type, said.message, said.worker) == (1, "ValueError", "no", "w1")
    assert "KeyError: 'k'" in said.traceback
    assert "test_codec.py" in said.traceback
    assert said.at > 0


def test_the_type_of_an_exception_says_where_it_is_from() -> None:
    assert told(Hostile("x")).type == f"{__name__}.Hostile"


@pytest.mark.parametrize(
    "broken", [ValueError("inner"), KeyboardInterrupt(), SystemExit(3), RecursionError()]
)
def test_an_exception_whose_text_cannot_be_read_is_told_anyway(broken: BaseException) -> None:
    said = told(Hostile(broken))

    assert said.message == f"(its text cannot be read: {type(broken).__name__})"


def test_an_exception_whose_text_is_no_text_is_told_anyway() -> None:
    assert "TypeError" in told(Hostile(42)).message


def test_long_texts_are_capped_and_the_end_of_the_traceback_is_kept() -> None:
    said = told(raised(Hostile("x" * 1_000_000 + "the end")))

    assert (len(said.message), len(said.traceback)) == (4096, 16_384)
    assert said.traceback.endswith("the end\n")


def test_text_that_utf8_cannot_carry_is_replaced() -> None:
    said = told(Hostile("a\ud800b"))

    assert (said.message, decode_error(encode_error(said))) == ("a?b", said)


def test_a_group_of_exceptions_is_told_with_all_that_is_in_it() -> None:
    said = told(BaseExceptionGroup("many", [ValueError("one"), KeyboardInterrupt("two")]))

    assert "ValueError: one" in said.traceback
    assert "KeyboardInterrupt: two" in said.traceback


@pytest.mark.parametrize("data", [b"", b"\xc1", b"boom", b"\x80", b"\x91\x01", b"\xff" * 10_000])
def test_an_error_that_a_stranger_wrote_is_shown_as_it_is(data: bytes) -> None:
    shown = decode_error(data)

    assert (shown.attempt, shown.type, shown.message) == (0, "unreadable", repr(data[:200]))
