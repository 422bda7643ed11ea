"""Exceptions and results that are made to break who describes them: each ends as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rqueue import App, InvalidArguments, JobFailed, Sensitive
from rqueue.codec import decode_error, describe, encode_error
from rqueue.job import AttemptError

CANARY = "canary-4711"


class Text(str):
    """A text that is hostile to whoever uses it."""

    __slots__ = ()

    def __str__(self) -> str:
        raise SystemExit(4)

    def __getitem__(self, _place: Any) -> Any:
        raise SystemExit(3)

    def encode(self, *_how: Any) -> Any:
        raise GeneratorExit


class SaysText(Exception):
    def __str__(self) -> str:
        return Text("what it says")


class Kind(type):
    @property
    def __module__(cls) -> str:
        raise SystemExit(3)


class OfKind(Exception, metaclass=Kind):
    pass


class Annotated(Exception):
    @property
    def __notes__(self) -> list[str]:
        raise SystemExit(3)


class Caused(Exception):
    @property
    def __cause__(self) -> Any:
        raise SystemExit(4)

    @__cause__.setter
    def __cause__(self, _value: Any) -> None: ...


def named(name: Any) -> Exception:
    kind = type("Named", (Exception,), {})
    kind.__qualname__ = name
    return kind("what it says")


def told(error: BaseException) -> AttemptError:
    return describe(error, attempt=1, worker="w1")


@pytest.mark.parametrize(
    ("error", "message", "type_"),
    [
        (SaysText(), "what it says", "SaysText"),
        (OfKind("what it says"), "what it says", "SystemExit"),
        (Annotated("what it says"), "what it says", "Annotated"),
        (Caused("what it says"), "what it says", "Caused"),
        (named("a\udc80b"), "what it says", "a?b"),
        (named("x" * 10_000_000), "what it says", "xxxx"),
    ],
    ids=["text", "type", "notes", "cause", "name", "long name"],
)
def test_an_exception_that_breaks_its_reader_is_told_anyway(
    error: Exception, message: str, type_: str
) -> None:
    said = told(error)

    assert (said.message, type_ in said.type, len(said.type) <= 200) == (message, True, True)
    assert decode_error(encode_error(said)) == said


class Map(dict[str, int]):
    def values(self) -> Any:
        raise KeyError(CANARY)


class Endless(list[int]):
    def __iter__(self) -> Any:
        raise MemoryError(CANARY)


RESULTS: list[Any] = [Map(a=1), Endless([1])]
app = App()


@app.task(isolation="process")
def in_child(which: int, password: Sensitive[str] = CANARY) -> Any:
    return RESULTS[which]


@app.task
async def on_loop(which: int, password: Sensitive[str] = CANARY) -> Any:
    return RESULTS[which]


@pytest.mark.parametrize("which", range(len(RESULTS)))
@pytest.mark.parametrize("task", [on_loop, in_child], ids=["loop", "process"])
async def test_a_result_that_breaks_its_encoder_is_a_result_that_does_not_fit(
    task: Any, which: int
) -> None:
    with pytest.raises(JobFailed) as failed:
        await task.now(which, CANARY)

    assert (failed.value.reason, failed.value.error_type) == ("result", "ResultError")
    assert "cannot be encoded" in failed.value.message
    assert CANARY not in failed.value.message


@pytest.mark.parametrize("value", RESULTS, ids=["map", "list"])
def test_an_argument_that_breaks_its_encoder_is_an_argument_that_does_not_fit(value: Any) -> None:
    @App().task
    def keep(value: Any, secret: Sensitive[Any]) -> None: ...

    call: Any = keep.call  # to type checkers the first one is the context

    with pytest.raises(InvalidArguments, match="cannot be encoded"):
        call(value, 1)
    with pytest.raises(InvalidArguments, match=r"keep: (cannot be encoded|\[redacted\])"):
        call(1, value)


@dataclass
class Unfinished:
    """What it is made of cannot be had."""

    text: str
    more: str

    def __post_init__(self) -> None:
        del self.more


async def test_a_sensitive_value_that_cannot_be_taken_apart_withholds_all() -> None:
    @App().task
    async def fail(value: Sensitive[Unfinished]) -> None:
        raise ValueError(f"no {value.text}")

    sent: Any = {"text": CANARY, "more": ""}

    with pytest.raises(JobFailed) as failed:
        await fail.now(sent)

    assert (failed.value.error_type, failed.value.message) == ("ValueError", "[redacted]")
    assert CANARY not in failed.value.traceback


async def test_a_result_of_too_many_bytes_is_a_result_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rqueue.worker.executor.LARGEST_RESULT", 50)

    @App().task
    async def repeat(text: str, times: int) -> str:
        return text * times

    assert await repeat.now("x", 48) == "x" * 48
    with pytest.raises(JobFailed, match="the result takes 51 bytes; at most 50 are kept") as failed:
        await repeat.now("x", 49)
    assert (failed.value.reason, failed.value.error_type) == ("result", "ResultError")
