"""The tables of ``docs/protocol.md`` say what the code says."""

from __future__ import annotations

import re

import pytest

from rqueue.codec import MAX_DEPTH
from rqueue.config import CHOSEN_ID_WINDOW_MS, GENERATED_ID_WINDOW_MS, MAX_CRASHES, MAX_PAYLOAD
from rqueue.envelope import VERSION, Envelope
from rqueue.job import JobState
from rqueue.names import PRIORITIES
from rqueue.outcome import DeadReason
from rqueue.retry import Retry
from rqueue.store.calls.jobs import NewJob, awaiting, enqueue
from rqueue.store.keys import Field, QueueKeys
from rqueue.store.scripts import AWAIT, ENQUEUE, Script
from tests.protocol.document import DOCS, PROTOCOL, code, section, tables
from tests.protocol.vectors import VECTORS

LUA = DOCS.parent / "rqueue" / "store" / "lua"
KEYS = QueueKeys("ns", "q")


def test_the_document_is_of_this_version() -> None:
    assert PROTOCOL.startswith(f"# The wire protocol, version {VERSION}\n")


def test_every_field_of_the_envelope_is_told_with_its_type() -> None:
    (fields, _) = tables(section("The envelope"))
    told = {code(row[0])[0]: row[1] for row in fields}

    assert list(told) == list(Envelope.__struct_fields__)
    kinds = {"str": "text", "int": "integer", "float": "number"}
    hints = Envelope.__annotations__
    opaque = {"args": "array", "kwargs": "map", "hidden": "array"}
    assert told == {name: kinds.get(hint, "map") for name, hint in hints.items()} | opaque


def test_every_number_of_a_retry_policy_is_told() -> None:
    (fields, _) = tables(section("The envelope"))
    (retry,) = (row[3] for row in fields if row[0] == "`retry`")

    assert set(code(retry)) == set(Retry.__struct_fields__) - {"on", "never"}


def test_every_field_of_a_record_is_told_by_its_name() -> None:
    (fields,) = tables(section("Level 2: reading a job"))

    told = {code(row[0])[0]: row[1] for row in fields}

    assert told == {letter: name.lower() for name, letter in vars(Field).items() if name.isupper()}


def test_every_state_of_a_record_is_told() -> None:
    (fields,) = tables(section("Level 2: reading a job"))
    (states,) = (row[2] for row in fields if row[0] == "`s`")

    assert set(code(states)) == {str(state) for state in JobState} - {"running"}


def test_every_field_of_an_entry_is_told() -> None:
    (fields,) = tables(section("Level 0: a plain XADD"))
    shared = (LUA / "_shared.lua").read_text("utf-8")
    travels = re.findall(r"'(\w)'", re.findall(r"ipairs\(\{('p'.*?)\}\)", shared)[0])

    assert {code(row[0])[0] for row in fields} == {"i", "m", "t", *travels}


def test_every_answer_of_the_enqueue_script_is_told() -> None:
    answers = tables(section("Level 1: the enqueue script"))[-1]
    header = (LUA / "enqueue.lua").read_text("utf-8").partition("\nlocal ")[0]

    assert [code(row[0])[0] for row in answers] == re.findall(r"\{'(\w+)'", header)


def test_the_keys_and_arguments_of_the_enqueue_script_stand_in_their_order() -> None:
    keys, arguments, _ = tables(section("Level 1: the enqueue script"))
    job = NewJob(
        id="1", envelope=b"2", digest=b"3", priority="low", due="5", unique="6", max_crashes=7
    )
    call = enqueue(KEYS, [job], now="0", waits=True)

    told = [name.replace("Q:", "ns:{q}:") for row in keys for name in code(row[1])]
    assert [name.replace("<short id>", "1").replace("<unique>", "6") for name in told] == call.keys
    assert [row[1] for row in arguments] == [
        "now", "wake", "id", "envelope", "digest", "priority", "due", "unique", "max_crashes",
        "waits",
    ]  # fmt: skip
    assert call.args == ["0", "ns:{q}:wake", "1", b"2", b"3", "low", "5", "6", 7, 1]


def test_the_keys_and_arguments_of_the_await_script_stand_in_their_order() -> None:
    (rows,) = tables(section("Waiting for the end"))
    call = awaiting(KEYS, "1", "ns:client:me")

    assert [row[0] for row in rows] == ["key 1", "key 2", "argument 1", "argument 2", "argument 3"]
    assert [code(row[1])[0] for row in rows[:2]] == ["Q:job:<short id>", "Q:waiters"]
    assert list(call.keys) == ["ns:{q}:job:1", "ns:{q}:waiters"]
    assert list(call.args) == ["", "1", "ns:client:me"]


@pytest.mark.parametrize("script", [ENQUEUE, AWAIT], ids=lambda script: script.name)
def test_a_script_is_made_as_the_document_says(script: Script) -> None:
    text = "".join((LUA / f"{name}.lua").read_text("utf-8") for name in ("_shared", script.name))
    whole = iter(line for line in text.splitlines() if not re.match(r"\s*(--.*)?$", line))

    # Nothing is added, and the order is kept; what is left out of the shared part is not used.
    assert [line for line in script.source.splitlines() if line not in whole] == []


def test_the_example_of_an_id_is_a_vector() -> None:
    told = section("Ids").split("\n    ")[1].splitlines()[0].split()

    assert {"id": told[0], "short": told[1]} in VECTORS["ids"]


def test_every_reason_that_is_named_exists() -> None:
    named = re.findall(r"reasons? `(\w+)`", PROTOCOL)

    assert named
    assert set(named) <= {str(reason) for reason in DeadReason}


def test_the_numbers_are_those_of_the_code() -> None:
    assert PRIORITIES == ("critical", "high", "normal", "low")
    assert (MAX_CRASHES, MAX_DEPTH, MAX_PAYLOAD) == (3, 64, 256 * 1024)
    assert (GENERATED_ID_WINDOW_MS, CHOSEN_ID_WINDOW_MS) == (60_000, 600_000)
