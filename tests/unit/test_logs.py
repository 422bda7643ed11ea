"""Log lines carry the fields of their job."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rqueue import Context, current_job
from rqueue.cli.logs import JsonFormatter, TextFormatter
from rqueue.context import at_work
from rqueue.logs import FIELDS, JobFilter, job_fields

CTX = Context(job_id="j1", queue="mail", task="send", attempt=2, state=None)


@pytest.fixture
def running() -> Iterator[None]:
    token = at_work.set(cast("Any", SimpleNamespace(ctx=CTX)))
    yield
    at_work.reset(token)


def record(name: str = "shop", **more: Any) -> logging.LogRecord:
    made = logging.getLogger(name).makeRecord(
        name, logging.INFO, "here.py", 1, "sold %d", (3,), None, extra=more
    )
    assert JobFilter().filter(made)
    return made


def test_outside_of_a_job_there_is_none_and_the_fields_are_empty() -> None:
    assert (current_job(), job_fields()) == (None, {})
    assert [getattr(record(), name) for name in FIELDS] == [""] * len(FIELDS)


def test_within_a_job_every_record_has_them(running: None) -> None:
    assert current_job() is CTX
    assert {name: getattr(record(), name) for name in FIELDS} == {
        "job_id": "j1", "task": "send", "queue": "mail", "attempt": 2, "correlation_id": "j1",
    }  # fmt: skip


def test_what_a_record_says_itself_stays(running: None) -> None:
    assert record(task="mine").__dict__["task"] == "mine"


def test_json_has_the_fields_of_the_job_and_what_was_added(running: None) -> None:
    line = json.loads(JsonFormatter().format(record(price=4.5)))

    assert {name: line[name] for name in ("message", "price", *FIELDS)} == {
        "message": "sold 3", "price": 4.5, "job_id": "j1", "task": "send", "queue": "mail",
        "attempt": 2, "correlation_id": "j1",
    }  # fmt: skip


def test_json_keeps_its_own_fields_whatever_was_added() -> None:
    line = json.loads(JsonFormatter().format(record(level=3, time="now", pid="mine", item="cup")))
    assert (line["level"], type(line["pid"]), line["item"]) == ("info", int, "cup")
    assert line["time"] != "now"


class Vague:
    """As arrays are: equal to nothing and to everything."""

    def __ne__(self, other: object) -> bool:
        raise ValueError("it is ambiguous")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "vague"


@pytest.mark.parametrize(
    ("value", "told"), [(Vague(), "vague"), ({(1, 2): 3}, "{(1, 2): 3}"), ("", None)]
)
def test_json_loses_no_line_for_what_was_added(value: object, told: str | None) -> None:
    line = json.loads(JsonFormatter().format(record(item=value)))
    assert (line["message"], line.get("item")) == ("sold 3", told)


def test_json_outside_of_a_job_has_none_of_them() -> None:
    line = json.loads(JsonFormatter().format(record()))

    assert sorted(line) == ["level", "logger", "message", "pid", "time"]


def test_text_names_the_job_of_others_lines_and_ours_do_so_themselves(running: None) -> None:
    assert TextFormatter().format(record()).endswith("sold 3  [task=send job=j1]")
    assert TextFormatter().format(record("rqueue.jobs")).endswith("sold 3")


def test_an_error_is_told_with_its_traceback() -> None:
    made, error = record(), ValueError("no")
    made.exc_info = (ValueError, error, None)

    assert "ValueError: no" in json.loads(JsonFormatter().format(made))["traceback"]
