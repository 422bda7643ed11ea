"""Sensitive parameters: which arguments are hidden, and that errors do not tell them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, NewType, TypedDict

import msgspec
import pytest

from rqueue import App, ConfigError, Context, InvalidArguments, JobFailed, Sensitive, TaskCall
from rqueue.client.building import build
from rqueue.envelope import open_envelope
from rqueue.errors import CodecError
from rqueue.signature import Signature

CANARY = "canary-4711"


class Colour(Enum):
    RED = "red"


@dataclass
class Card:
    number: Sensitive[str]
    holder: str

    def __post_init__(self) -> None:
        if self.number.startswith("canary"):
            raise ValueError(f"no card: {self.number}")


class Node(msgspec.Struct):
    inner: Node | None = None
    secret: Sensitive[str] | None = None


class Options(TypedDict):
    token: Sensitive[str]


Password = NewType("Password", Sensitive[str])


def mixed(
    ctx: Context,
    user: str,
    password: Sensitive[str],
    /,
    *rest: int,
    pin: Sensitive[int] = 1234,
    **more: Sensitive[str],
) -> None:
    """The context does not count as an argument."""


def hidden(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int | str, ...]:
    signature = Signature(function)
    placed, named = signature.bind(args, kwargs)
    return signature.hidden.places(len(placed), named)


def test_positions_and_names_are_those_of_the_bound_call() -> None:
    assert hidden(mixed, "ada", CANARY, 1, 2, pin=3, other="x", user="y") == (
        1, "pin", "other", "user",
    )  # fmt: skip


def test_a_name_that_becomes_a_position_is_hidden_there() -> None:
    def log_in(user: str, password: Sensitive[str]) -> None: ...

    assert hidden(log_in, "ada", password=CANARY) == (1,)
    assert hidden(log_in, user="ada", password=CANARY) == (1,)


def test_the_rest_by_position_is_hidden_if_it_is_marked() -> None:
    def keep(name: str, *values: Sensitive[int]) -> None: ...

    assert hidden(keep, "a", 1, 2) == (1, 2)


@pytest.mark.parametrize(
    "kind",
    [
        Sensitive[str],
        Sensitive[str] | None,
        list[Sensitive[int]],
        dict[str, tuple[Sensitive[str], int]],
        Annotated[Sensitive[str], msgspec.Meta(max_length=9)],
        Card,
        list[Card] | None,
        Node,
        Options,
        Password,
        list[Password],
    ],
    ids=str,
)
def test_a_mark_anywhere_in_a_type_hides_the_argument(kind: Any) -> None:
    def keep(plain: str, value: Any) -> None: ...

    keep.__annotations__["value"] = kind

    assert hidden(keep, "x", None) == (1,)


def test_a_task_without_marks_hides_nothing() -> None:
    def keep(
        plain: str, *rest: int, **more: Annotated[str, msgspec.Meta(max_length=9)]
    ) -> None: ...

    assert hidden(keep, "x", 1, a="b") == ()


def test_a_result_cannot_be_sensitive() -> None:
    def leak() -> Sensitive[str]:
        return ""

    with pytest.raises(ConfigError, match="only arguments can"):
        Signature(leak)


def test_the_envelope_says_what_is_hidden() -> None:
    app = App()
    task = app.task(name="mixed")(mixed)

    sent = open_envelope(build(task.call("ada", CANARY, pin=7)).job.envelope).envelope

    assert sent.hidden == [1, "pin"]
    assert msgspec.msgpack.decode(sent.args) == ["ada", CANARY]


def test_a_hook_that_changes_the_arguments_changes_what_is_hidden() -> None:
    app = App()

    @app.before_enqueue
    def longer(call: TaskCall[Any]) -> TaskCall[Any]:
        return msgspec.structs.replace(call, args=(*call.args, "more", CANARY))

    @app.task
    def keep(plain: str, *values: Sensitive[str]) -> None: ...

    assert app._hooked(keep.call("x")).hidden == (1, 2)


def test_a_call_shows_no_arguments() -> None:
    @App().task
    def log_in(password: Sensitive[str]) -> None: ...

    call = log_in.options(job_id="x").call(CANARY)

    assert repr(call) == "<TaskCall log_in job=x>"


def chain(error: BaseException | None) -> list[BaseException]:
    """An exception and all that it leads to, shown by default or not."""
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


class Leaky(dict[str, str]):
    """What cannot be encoded, and says why."""

    def values(self) -> Any:
        raise ValueError(f"no values: {self['number']}")


@App().task
def strict(
    colour: Sensitive[Colour],
    card: Card | None = None,
    password: Sensitive[str] = CANARY,
    count: int = 0,
) -> None:
    """All that may go wrong with a value."""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((CANARY,), "Invalid enum value"),
        (("red", {"number": CANARY, "holder": "ada"}), "no card: [redacted]"),
        (("red", None, CANARY, CANARY), "Expected `int`"),
        (("red", None, object()), "unsupported"),
        (("red", Leaky(number=CANARY)), "cannot be encoded: no values: [redacted]"),
        ((), "missing a required argument: 'colour'"),
        (("red", None, "x", 1, CANARY), "too many positional arguments"),
        (("red", None, "\udc80" + CANARY), "surrogates"),
    ],
    ids=lambda one: one if isinstance(one, str) else "args",
)
def test_a_producer_is_told_what_is_wrong_but_not_with_which_value(args: Any, said: str) -> None:
    wrong: Any = strict

    with pytest.raises(InvalidArguments) as refused:
        wrong.call(*args)

    told = "".join(traceback.format_exception(refused.value))
    assert said in told
    assert CANARY not in told
    assert CANARY not in repr(chain(refused.value))


def test_a_worker_is_told_what_is_wrong_but_not_with_which_value() -> None:
    @App().task(name="strict")
    def here(colour: Sensitive[Colour]) -> None: ...

    for encode, is_json in ((msgspec.msgpack.encode, False), (msgspec.json.encode, True)):
        with pytest.raises(CodecError) as refused:
            here.signature.decode(encode([CANARY]), encode({}), is_json=is_json)

        assert "colour" in str(refused.value)
        assert CANARY not in "".join(traceback.format_exception(refused.value))
        assert CANARY not in repr(chain(refused.value))


def test_arguments_that_cannot_be_read_at_all_are_not_told() -> None:
    redact = strict.signature.redactor((b"\xc1", b"\x80"))

    assert redact(f"it was {CANARY}") == "[redacted]"


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_an_error_of_the_task_does_not_tell_the_value(isolation: Any) -> None:
    task = fail_in_child if isolation == "process" else fail_in_thread

    with pytest.raises(JobFailed) as failed:
        await task.now("ada", CANARY)

    error = failed.value
    assert error.message == "ada has '[redacted]', not " + "x" * 40
    assert "LookupError: ada has '[redacted]'" in error.traceback
    assert CANARY not in error.traceback + str(error)


async def test_a_default_that_the_task_has_in_place_of_a_value_is_not_told_either() -> None:
    @App().task
    async def fail(user: str, password: Sensitive[str] = CANARY) -> None:
        raise LookupError(f"{user} has {password}")

    with pytest.raises(JobFailed, match=r"ada has \[redacted\]") as failed:
        await fail.now("ada")
    assert CANARY not in failed.value.traceback


def test_a_unique_key_that_is_refused_does_not_tell_the_value() -> None:
    @App().task(unique=lambda user, password: f"{user}\n{password}")
    async def log_in(user: str, password: Sensitive[str]) -> None: ...

    with pytest.raises(
        ConfigError, match=r"unique key 'ada\\n\[redacted\]' is not allowed"
    ) as told:
        log_in.call(user="ada", password=CANARY)
    assert CANARY not in repr(chain(told.value))


async def test_a_hook_that_returns_no_call_is_told_without_the_values() -> None:
    app = App()
    hook: Any = app.before_enqueue
    hook(lambda call: call.args)

    @app.task
    async def log_in(password: Sensitive[str]) -> None: ...

    with pytest.raises(ConfigError, match="returned a tuple; it must return the call") as told:
        await log_in.now(CANARY)
    assert CANARY not in str(told.value)


async def test_half_a_value_is_not_left_over_by_the_cap() -> None:
    app = App()

    @app.task
    async def fail(password: Sensitive[str]) -> None:
        raise ValueError("x" * (4096 - 6) + password)

    with pytest.raises(JobFailed) as failed:
        await fail.now(CANARY)

    assert failed.value.message.endswith("x[redac")


async def test_a_value_that_the_task_has_changed_is_still_known() -> None:
    @App().task
    async def fail(values: Sensitive[list[str]]) -> None:
        said = values.pop()
        raise ValueError(said)

    with pytest.raises(JobFailed, match=r"ValueError: \[redacted\]"):
        await fail.now([CANARY])


async def test_a_result_that_does_not_fit_does_not_tell_the_value() -> None:
    @App().task
    async def echo(password: Sensitive[str]) -> Colour:
        answer: Any = password
        return answer

    with pytest.raises(JobFailed) as failed:
        await echo.now(CANARY)

    assert (failed.value.reason, CANARY in str(failed.value)) == ("result", False)


async def test_the_task_and_its_middleware_see_the_value() -> None:
    app, seen = App(), list[Any]()

    @app.before_enqueue
    def look(call: TaskCall[Any]) -> TaskCall[Any]:
        seen.append(call.args)
        return call

    @app.task
    async def log_in(user: str, password: Sensitive[str]) -> str:
        return password

    assert await log_in.now("ada", CANARY) == CANARY
    assert seen == [("ada", CANARY)]


def _fail(user: str, password: str) -> None:
    raise LookupError(f"{user} has {password!r}, not {'x' * 40}")


app = App()


@app.task
def fail_in_thread(user: str, password: Sensitive[str]) -> None:
    _fail(user, password)


@app.task(isolation="process")
def fail_in_child(user: str, password: Sensitive[str]) -> None:
    _fail(user, password)
