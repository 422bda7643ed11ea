"""Signature: how the arguments of a call are placed, and what is said of those that do not fit."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rqueue.codec import encode
from rqueue.context import Context
from rqueue.errors import CodecError, InvalidArguments
from rqueue.signature import Signature


def plain(a: int, b: str = "x", *, c: float = 0.5) -> None: ...


def only_by_place(a: int, b: int = 2, /, c: int = 3) -> None: ...


def rest(a: int, *others: int, key: str = "k", **more: float) -> None: ...


def required_by_name(a: int, *, key: str) -> None: ...


def with_context(ctx: Context, a: int) -> None: ...


def nothing() -> None: ...


def call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


@pytest.mark.parametrize(
    ("function", "given", "placed"),
    [
        (plain, call(1), call(1)),
        (plain, call(1, "y"), call(1, "y")),
        (plain, call(a=1), call(1)),
        (plain, call(b="y", a=1), call(1, "y")),
        (plain, call(1, c=2.0), call(1, c=2.0)),
        (plain, call(c=2.0, b="y", a=1), call(1, "y", c=2.0)),
        (only_by_place, call(1, c=4), call(1, c=4)),
        (only_by_place, call(1, 2, c=4), call(1, 2, 4)),
        (rest, call(1, 2, 3), call(1, 2, 3)),
        (rest, call(a=1, x=1.5), call(1, x=1.5)),
        (rest, call(1, key="q", y=0.5), call(1, key="q", y=0.5)),
        (required_by_name, call(1, key="k"), call(1, key="k")),
        (required_by_name, call(key="k", a=1), call(1, key="k")),
        (with_context, call(1), call(1)),
        (with_context, call(a=1), call(1)),
        (nothing, call(), call()),
    ],
)
def test_equal_calls_are_placed_alike_however_they_are_written(
    function: Callable[..., Any], given: Any, placed: Any
) -> None:
    signature = Signature(function)

    bound = signature.bind(*given)

    assert bound == placed
    assert signature.decode(*signature.encode(*bound)) == placed


def test_defaults_stay_at_home() -> None:
    signature = Signature(plain)

    assert signature.encode(*signature.bind((1,), {})) == (encode([1]), encode({}))


def test_a_function_gets_what_it_was_called_with() -> None:
    signature = Signature(rest)
    args, kwargs = signature.decode(*signature.encode(*signature.bind((1, 2, 3), {"z": 1})))

    bound = inspect.signature(rest).bind(*args, **kwargs)

    assert bound.arguments == {"a": 1, "others": (2, 3), "more": {"z": 1}}


@pytest.mark.parametrize(
    ("function", "given", "told"),
    [
        (plain, call(), "missing a required argument: 'a'"),
        (plain, call(1, "y", 2), "too many positional arguments"),
        (plain, call(1, a=1), "multiple values for argument 'a'"),
        (plain, call(1, d=1), "got an unexpected keyword argument 'd'"),
        (only_by_place, call(a=1), "'a'"),
        (required_by_name, call(1), "missing a required.* argument: 'key'"),
        (rest, call(), "missing a required argument: 'a'"),
        (with_context, call(), "missing a required argument: 'a'"),
        (nothing, call(1), "too many positional arguments"),
    ],
)
def test_a_call_that_does_not_fit_is_told_like_a_call_of_the_function(
    function: Callable[..., Any], given: Any, told: str
) -> None:
    with pytest.raises(InvalidArguments, match=f"^{function.__name__}.*{told}"):
        Signature(function).bind(*given)


def test_a_call_that_does_not_fit_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        Signature(plain).bind((), {})


def two(first: int, second: list[dict[str, int]], *, third: bool = True) -> None: ...


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (call("1", []), "Expected `int.*`, got `str` - at `first`"),
        (call(1, 2), "Expected `array.*`, got `int` - at `second`"),
        (call(1, [{"k": "v"}]), r"Expected `int`, got `str` - at `second\[0\]\[...\]`"),
        (call(1, [], third=1), "Expected `bool.*`, got `int` - at `third`"),
        (call(None, []), "Expected `int.*`, got `.*` - at `first`"),
        (call(1.5, []), "Expected `int.*`, got `float` - at `first`"),
    ],
)
def test_an_argument_of_another_type_is_told_by_its_parameters_name(given: Any, told: str) -> None:
    signature = Signature(two)

    with pytest.raises(InvalidArguments, match=told):
        signature.encode(*signature.bind(*given))


def more(first: int, *others: int, **named: int) -> None: ...


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (call("1"), "first"),
        (call(1, 2, "3"), "others"),
        (call(1, x="3"), "x"),
    ],
)
def test_an_argument_among_many_is_told_by_its_parameters_name_too(given: Any, told: str) -> None:
    signature = Signature(more)

    with pytest.raises(InvalidArguments, match=f"Expected `int`, got `str`.*`{told}"):
        signature.encode(*signature.bind(*given))


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        ([], {}, "missing first, second"),
        ([1], {}, "missing second"),
        ([1, [], 3], {}, "length"),
        ([1, []], {"fourth": 4}, "unknown field `fourth`"),
        ([1, []], {"first": 1}, "given twice"),
        ([1], {"second": "x"}, "`second`"),
    ],
)
def test_a_foreign_call_that_does_not_fit_is_refused(args: Any, kwargs: Any, told: str) -> None:
    with pytest.raises(CodecError, match=f"arguments do not fit two.*{told}"):
        Signature(two).decode(encode(args), encode(kwargs))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (b"\xc1", b"\x80"),
        (b"", b"\x80"),
        (b"\x80", b"\x80"),
        (b"\x90", b"\x90"),
        (b"\x90", b"\x81\x01\x02"),
        (b"\x92\x01", b"\x80"),
        (b"\xdd\xff\xff\xff\xff", b"\x80"),
        (b"\xa1\xff", b"\x80"),
    ],
)
@pytest.mark.parametrize("function", [two, more])
def test_hostile_bytes_are_refused(
    function: Callable[..., Any], args: bytes, kwargs: bytes
) -> None:
    with pytest.raises(CodecError):
        Signature(function).decode(args, kwargs)


def gathering(a: int, /, *b: int, **more: str) -> None: ...


def test_a_name_that_only_has_a_place_may_be_gathered_too() -> None:
    signature = Signature(gathering)
    called = call(1, 2, a="x", b="y", more="z")

    assert signature.decode(*signature.encode(*signature.bind(*called))) == called


def test_a_foreign_call_may_not_name_what_only_has_a_place() -> None:
    with pytest.raises(CodecError, match="do not fit"):
        Signature(only_by_place).decode(encode([]), encode({"a": 1}))
    with pytest.raises(CodecError, match="missing a"):
        Signature(gathering).decode(encode([]), encode({"a": "x"}))


def test_a_foreign_call_may_name_what_others_place() -> None:
    bound = Signature(two).decode(encode([]), encode({"second": [], "first": 1}))

    assert bound == call(first=1, second=[])


def test_a_json_call_is_read_by_the_same_types() -> None:
    bound = Signature(two).decode(b'[1, [{"k": 2}]]', b'{"third": false}', is_json=True)

    assert bound == call(1, [{"k": 2}], third=False)


def test_a_context_is_the_first_parameter_by_its_annotation() -> None:
    def typed(ctx: Context[dict[str, int]], a: int) -> None: ...

    def unannotated(ctx, a: int) -> None: ...

    def second(a: int) -> None: ...

    assert [Signature(one).takes_context for one in (with_context, typed, unannotated, second)] == [
        True,
        True,
        False,
        False,
    ]


def test_without_annotations_anything_that_can_travel_fits() -> None:
    def anything(a, *b, **c) -> None: ...

    signature = Signature(anything)
    bound = signature.decode(*signature.encode(*signature.bind((None, [1], b"x"), {"k": {"a": 1}})))

    assert bound == call(None, [1], b"x", k={"a": 1})


def test_what_the_producer_accepts_the_worker_accepts() -> None:
    """msgspec would encode a set for a list; what comes back is what the task asked for."""

    def task(a: list[int], b: set[int], c: tuple[int, ...]) -> None: ...

    signature = Signature(task)

    bound = signature.decode(*signature.encode(((1, 2), [3, 3], [4]), {}))

    assert bound == (([1, 2], {3}, (4,)), {})


class Picky(msgspec.Struct):
    size: int

    def __post_init__(self) -> None:
        raise KeyError(self.size)


def test_a_type_that_raises_whatever_it_likes_is_told_as_a_wrong_argument() -> None:
    def task(a: Picky) -> None: ...

    with pytest.raises(CodecError, match="do not fit"):
        Signature(task).decode(encode([{"size": 1}]), encode({}))
