"""Names: what may stand in a key, and what is refused before it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rqueue.errors import ConfigError
from rqueue.names import (
    check_job_id,
    check_namespace,
    check_priority,
    check_queue,
    check_task,
    check_unique,
)

NOT_TEXT = [None, 1, b"mail", ["mail"], True]
INJECTIONS = [
    "",
    "a}{b",
    "{a}",
    "a{",
    "a b",
    " a",
    "a\n",
    "a\0",
    "a\r\nSET x y",
    "a*",
    "a?",
    "a[b]",
    "ä",
    "\u202e",
    "\ud800",
]


@pytest.mark.parametrize("name", ["a", "default", "A-1_b.c", "0", "x" * 64])
def test_a_queue_may_have_this_name(name: str) -> None:
    assert check_queue(name) == name


@pytest.mark.parametrize("name", [*INJECTIONS, *NOT_TEXT, "a:b", "-a", ".a", "_a", "x" * 65])
def test_a_queue_may_not_have_this_name(name: object) -> None:
    with pytest.raises(ConfigError, match=r"queue name .* is not allowed: it must be 1-64 char"):
        check_queue(name)


@pytest.mark.parametrize("name", [*INJECTIONS, *NOT_TEXT, "a:b", "x" * 65])
def test_a_namespace_may_not_be_this(name: object) -> None:
    with pytest.raises(ConfigError, match="namespace"):
        check_namespace(name)


@pytest.mark.parametrize(
    "name", ["send", "a.b.send", "_x", "a:b", "make.<locals>.send-it", "x" * 200]
)
def test_a_task_may_have_this_name(name: str) -> None:
    assert check_task(name) == name


@pytest.mark.parametrize("name", [*INJECTIONS, *NOT_TEXT, "1a", ".a", "x" * 201])
def test_a_task_may_not_have_this_name(name: object) -> None:
    with pytest.raises(ConfigError, match="task name"):
        check_task(name)


@pytest.mark.parametrize("job_id", ["a", "order:17", "a@b.c/d+e=f", "x" * 128])
def test_a_caller_may_choose_this_id(job_id: str) -> None:
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize("job_id", [*INJECTIONS, *NOT_TEXT, "~a", ":a", "x" * 129])
def test_a_caller_may_not_choose_this_id(job_id: object) -> None:
    with pytest.raises(ConfigError, match="job id"):
        check_job_id(job_id)


@pytest.mark.parametrize("key", ["user:7", "jürgen's mail", "{a}*", "x" * 256])
def test_a_unique_key_may_be_any_printable_text(key: str) -> None:
    assert check_unique(key) == key


@pytest.mark.parametrize("key", [*NOT_TEXT, "", "a\n", "a\0", "\ud800", "\u202e", "x" * 257])
def test_a_unique_key_may_not_be_this(key: object) -> None:
    with pytest.raises(ConfigError, match="unique key"):
        check_unique(key)


@pytest.mark.parametrize("priority", ["critical", "high", "normal", "low"])
def test_these_are_the_priorities(priority: str) -> None:
    assert check_priority(priority) == priority


@pytest.mark.parametrize("priority", [*NOT_TEXT, "", "urgent", "Normal", "suspect", "released", 5])
def test_nothing_else_is_a_priority(priority: object) -> None:
    with pytest.raises(ConfigError, match="is not one of critical, high, normal, low"):
        check_priority(priority)


@pytest.mark.parametrize("check", [check_queue, check_task, check_job_id, check_unique])
def test_a_refusal_shows_a_hostile_name_short_and_escaped(check: Callable[[object], str]) -> None:
    with pytest.raises(ConfigError) as refused:
        check("\x1b[31m\n<script>" * 10_000)

    text = str(refused.value)
    assert len(text) < 250
    assert text.isprintable()
    assert text.isascii()
