"""Values are taken out of texts, however Python spells them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

import msgspec
import pytest

from rqueue.redaction import redacting


class Colour(Enum):
    RED = "crimson"


@dataclass
class Card:
    number: str
    holder: str = "Ada L."


class Login(msgspec.Struct):
    user: str
    codes: list[int]


class Mute:
    """Its text cannot be had."""

    def __repr__(self) -> str:
        raise ValueError("no")


QUOTED = 'it\'s "so"\\n\té\n漢'


@pytest.mark.parametrize(
    ("value", "text", "told"),
    [
        ("hunter2", "no hunter2 here", "no [redacted] here"),
        ("hunter2", "nohunter2here", "no[redacted]here"),
        (QUOTED, QUOTED, "[redacted]"),
        (QUOTED, repr(QUOTED), "'[redacted]'"),
        (QUOTED, repr(KeyError(QUOTED)), "KeyError('[redacted]')"),
        (QUOTED, repr([repr(QUOTED)]), "['\\'[redacted]\\'']"),
        (QUOTED, json.dumps({"a": QUOTED}), '{"a": "[redacted]"}'),
        (QUOTED, json.dumps(QUOTED, ensure_ascii=False), '"[redacted]"'),
        (
            "first line\nsecond line",
            "  | ValueError: first line\n  | second line",
            "  | ValueError: [redacted]\n  | [redacted]",
        ),
        ("  padded ", "padded", "[redacted]"),
        ("\udc80abc", "\udc80abc", "[redacted]"),
        (b"hunter2", "b'hunter2'", "b'[redacted]'"),
        (b"\xff\x00xyz", repr(b"\xff\x00xyz"), "b'[redacted]'"),
        (b"\xff\x00xyz", b"\xff\x00xyz".hex(), "[redacted]"),
        (b"hunter2", "aHVudGVyMg==", "[redacted]"),
        (4_111_111, "card 4111111", "card [redacted]"),
        (-2.5e300, "x=-2.5e+300", "x=[redacted]"),
        (Decimal("12345.678"), "Decimal('12345.678')", "[redacted]"),
        (UUID(int=7), str(UUID(int=7)), "[redacted]"),
        (datetime(2026, 1, 2, tzinfo=UTC), str(datetime(2026, 1, 2, tzinfo=UTC)), "[redacted]"),
        (datetime(2026, 1, 2, tzinfo=UTC), repr(datetime(2026, 1, 2, tzinfo=UTC)), "[redacted]"),
        (Colour.RED, "not a crimson one", "not a [redacted] one"),
        (Colour.RED, "it is RED", "it is [redacted]"),
        (
            datetime(2026, 1, 2, tzinfo=UTC),
            datetime(2026, 1, 2, tzinfo=UTC).isoformat(),
            "[redacted]",
        ),
        (
            "first line\u2028second line",
            "  | first line\u2028  | second line",
            "  | [redacted]\u2028  | [redacted]",
        ),
        ("épadded", ascii("épadded"), "'[redacted]'"),
        ("épadded", repr("épadded".encode()), "b'[redacted]'"),
        ("p@dded/x", quote("p@dded/x", safe=""), "[redacted]"),
        ("p@dded x", quote_plus("p@dded x"), "[redacted]"),
        (
            ["alpha", {"beta": ("gamma", 98765)}],
            "alpha beta gamma 98765",
            "[redacted] [redacted] [redacted] [redacted]",
        ),
        ({"key": {"deep"}}, "deep", "[redacted]"),
        (Card("4111"), "4111", "[redacted]"),
        (Card("4111", "Bob"), repr(Card("4111", "Bob")), "[redacted]"),
        (Login("ada1", [55555]), "ada1 has 55555", "[redacted] has [redacted]"),
        ("cvc", "the cvc!", "the [redacted]!"),
        (7, "pin=7", "pin=[redacted]"),
        ("x", "'x'", "'[redacted]'"),
        ([Mute(), "hunter2"], "hunter2", "[redacted]"),
    ],
    ids=lambda one: repr(one)[:30] if not isinstance(one, list) else "a list",
)
def test_a_value_is_taken_out_of_a_text_and_nothing_else(value: Any, text: str, told: str) -> None:
    assert redacting([value])(text) == told


def test_what_is_left_is_exactly_the_rest() -> None:
    redact = redacting(["hunter2", 4111, "cvc"])

    assert redact("login(hunter2) with 4111, cvc: cvcs hunter22") == (
        "login([redacted]) with [redacted], [redacted]: cvcs [redacted]2"
    )


def test_the_longest_spelling_goes_first() -> None:
    assert redacting(["hunter2", "hunter2 and more"])("hunter2 and more") == "[redacted]"


def test_a_short_value_is_only_taken_where_it_is_a_word_of_its_own() -> None:
    redact = redacting([1])

    assert redact("line 12 of 2021, attempt 1") == "line 12 of 2021, attempt [redacted]"


@pytest.mark.parametrize(
    "value", ["", "   ", "\n", None, True, False, [], {}, [None, ""]], ids=repr
)
def test_what_says_nothing_is_not_looked_for(value: Any) -> None:
    text = "None True False [] {} ''    \n x"

    assert redacting([value])(text) == text


def test_with_too_many_values_nothing_is_told() -> None:
    assert redacting([list(range(10_000, 20_000))])("all is well") == "[redacted]"


def test_the_mark_itself_is_no_trap() -> None:
    assert redacting(["redacted", "hunter2"])("hunter2") == "[redacted]"
