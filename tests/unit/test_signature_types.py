"""Signature: which annotations travel, and which are refused where the task is declared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict
from uuid import UUID

import msgspec
import pytest

from rqueue.codec import encode
from rqueue.context import Context
from rqueue.errors import CodecError, ConfigError, InvalidArguments
from rqueue.signature import Signature

if TYPE_CHECKING:
    from somewhere import Unseen  # pyright: ignore[reportMissingImports]


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True)
class Line:
    points: list[Point]
    names: dict[str, Colour] = field(default_factory=dict)


class Mail(msgspec.Struct):
    to: str
    at: datetime | None = None


class Row(NamedTuple):
    key: str
    value: int


class Options(TypedDict, total=False):
    loud: bool


UserId = NewType("UserId", int)
Small = Annotated[int, msgspec.Meta(ge=0, le=9)]
NOW = datetime(2026, 5, 4, 3, 2, 1, 999_999, tzinfo=UTC)


def taking(hint: Any) -> Signature:
    def task(value: Any) -> Any: ...

    task.__annotations__ = {"value": hint, "return": hint}
    return Signature(task)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 7),
        (float, 7),
        (str, "x"),
        (bool, False),
        (bytes, b"\xff"),
        (None, None),
        (Any, {"a": [1]}),
        (Optional[int], None),  # noqa: UP045 - users write it
        (int | str | None, "x"),
        (list[int], [1]),
        (Sequence[int], [1]),
        (set[int], {1}),
        (frozenset[str], frozenset({"a"})),
        (tuple[int, str], (1, "a")),
        (tuple[int, ...], (1, 2)),
        (dict[str, int], {"a": 1}),
        (Mapping[str, int], {"a": 1}),
        (dict[int, str], {1: "a"}),
        (dict[str, list[dict[str, set[int]]]], {"a": [{"b": {1}}]}),
        (datetime, NOW),
        (datetime, NOW.replace(tzinfo=None)),
        (date, NOW.date()),
        (time, time(1, 2, 3)),
        (timedelta, timedelta(days=1, microseconds=1)),
        (UUID, UUID(int=7)),
        (Decimal, Decimal("1.10")),
        (Colour, Colour.RED),
        (Level, Level.LOW),
        (Literal["a", 1], "a"),
        (UserId, UserId(7)),
        (Small, 9),
        (Point, Point(1, 2)),
        (Line, Line([Point(1)], {"a": Colour.RED})),
        (list[Line], [Line([Point(1), Point(2, 3)])]),
        (Mail, Mail("a", NOW)),
        (dict[str, Mail | None], {"a": Mail("a"), "b": None}),
        (Row, Row("a", 1)),
        (Options, {"loud": True}),
        (bytearray, bytearray(b"x")),
    ],
    ids=lambda one: str(one)[:40],
)
def test_a_value_comes_back_as_what_it_was(hint: Any, value: Any) -> None:
    signature = taking(hint)

    ((there,), _) = signature.decode(*signature.encode((value,), {}))
    back = signature.decode_result(signature.encode_result(value))

    assert (there, back) == (value, value)
    assert type(there) is type(back)
    assert isinstance(there, type(value)) or hint is float


def test_a_value_that_annotations_leave_open_comes_back_as_plain_data() -> None:
    signature = taking(Any)

    ((there,), _) = signature.decode(*signature.encode(((Point(1), NOW, Colour.RED),), {}))

    assert there == [{"x": 1, "y": 0}, NOW, "red"]


@pytest.mark.parametrize("value", [-1, 10, "1"])
def test_a_constraint_of_an_annotation_is_checked(value: Any) -> None:
    with pytest.raises(InvalidArguments, match="`value`"):
        taking(Small).encode((value,), {})


class Connection:
    """Something that only lives here."""


@pytest.mark.parametrize(
    "hint",
    [
        Connection,
        list[Connection],
        dict[str, list[Connection]],
        Connection | None,
        tuple[int, Connection],
        Callable[[], int],
        threading.Lock,
        type,
        complex,
        Exception,
        range,
    ],
    ids=str,
)
def test_a_type_that_cannot_travel_is_refused_at_the_declaration(hint: Any) -> None:
    with pytest.raises(ConfigError, match=r"the annotation of 'value'.* cannot travel"):
        taking(hint)


def test_the_refusal_of_a_type_names_it_and_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"contains Connection, which cannot travel. Use .*an id"):
        taking(list[Connection])


@dataclass
class Holder:
    connection: Connection


class Envelope(msgspec.Struct):
    holders: list[Holder]


@pytest.mark.parametrize("hint", [Holder, Envelope, dict[str, Envelope]], ids=str)
def test_a_type_that_cannot_travel_is_found_inside_others(hint: Any) -> None:
    with pytest.raises(ConfigError, match="Connection"):
        taking(hint)


@dataclass
class Tree:
    children: list[Tree] = field(default_factory=list)


def test_a_type_that_contains_itself_travels() -> None:
    tree = Tree([Tree(), Tree([Tree()])])
    signature = taking(Tree)

    assert signature.decode_result(signature.encode_result(tree)) == tree


def test_a_result_that_cannot_travel_is_refused_at_the_declaration() -> None:
    def task() -> Connection: ...

    with pytest.raises(ConfigError, match="the annotation of 'return' contains Connection"):
        Signature(task)


def test_a_context_is_no_argument() -> None:
    def task(a: int, ctx: Context) -> None: ...

    with pytest.raises(ConfigError, match=r"'ctx'.*Context"):
        Signature(task)


def test_a_name_that_only_the_type_checker_sees_is_refused_with_the_reason() -> None:
    def task(a: Unseen) -> None: ...

    with pytest.raises(ConfigError, match=r"'Unseen' is not defined.*TYPE_CHECKING"):
        Signature(task)


def test_two_structs_that_cannot_be_told_apart_are_refused_at_the_declaration() -> None:
    with pytest.raises(ConfigError, match="'value' cannot travel"):
        taking(Mail | Envelope)


@pytest.mark.parametrize(
    ("hint", "value"),
    [(int, "1"), (int, None), (None, 0), (list[int], [1, "2"]), (Point, {"x": "1"})],
)
def test_a_result_that_does_not_fit_its_annotation_is_refused(hint: Any, value: Any) -> None:
    with pytest.raises(CodecError, match="the result does not fit"):
        taking(hint).encode_result(value)


@pytest.mark.parametrize("value", [object(), 2**64, "\ud800"])
def test_a_result_that_cannot_be_encoded_is_refused(value: Any) -> None:
    with pytest.raises(CodecError, match="cannot be encoded"):
        taking(Any).encode_result(value)


def test_a_result_of_another_version_of_the_task_is_refused_when_it_is_read() -> None:
    with pytest.raises(CodecError, match=r"the result does not fit .*task -> .*int"):
        taking(int).decode_result(encode("old"))
