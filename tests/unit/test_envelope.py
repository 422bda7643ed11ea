"""Envelope: one call as bytes, readable by strangers, closed to hostile ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rqueue.codec import encode
from rqueue.envelope import VERSION, Envelope, digest, open_envelope, seal
from rqueue.errors import CodecError

EVERYTHING: dict[str, Any] = {
    "task": "send",
    "v": 1,
    "args": [1],
    "kwargs": {"a": 2},
    "created": 5,
    "expires": 6,
    "timeout": 1.5,
    "retry": {"max_attempts": 2},
    "result_ttl": 0,
    "unique": "u",
    "headers": {"h": "x"},
    "version": 2,
}


def opened(told: Any) -> Envelope:
    return open_envelope(msgspec.msgpack.encode(told)).envelope


def test_the_shortest_envelope_names_a_task_only() -> None:
    assert opened({"task": "send"}) == Envelope(task="send")


def test_every_field_is_read() -> None:
    found = opened(EVERYTHING)

    plain = {name: getattr(found, name) for name in EVERYTHING if name not in ("args", "kwargs")}
    assert plain == {k: v for k, v in EVERYTHING.items() if k not in ("args", "kwargs")}
    assert (bytes(found.args), bytes(found.kwargs)) == (encode([1]), encode({"a": 2}))


def test_json_is_read_as_msgpack_is() -> None:
    found = open_envelope(msgspec.json.encode(EVERYTHING))

    assert found.is_json
    assert (bytes(found.envelope.args), bytes(found.envelope.kwargs)) == (b"[1]", b'{"a":2}')
    assert found.envelope.headers == {"h": "x"}


def test_what_is_left_out_takes_no_bytes() -> None:
    assert msgspec.msgpack.decode(seal(Envelope(task="send"))) == {"task": "send", "v": VERSION}


def test_unknown_fields_are_ignored() -> None:
    assert opened({"task": "send", "colour": {"deep": [1]}, "V": 9}) == Envelope(task="send")


@pytest.mark.parametrize("version", [2, 99, -1])
def test_another_version_is_refused_with_what_to_do(version: int) -> None:
    with pytest.raises(CodecError, match=rf"envelope version {version}; .*Upgrade the workers"):
        opened({"task": "send", "v": version})


SOUND = msgspec.msgpack.encode(EVERYTHING)


@pytest.mark.parametrize("end", range(len(SOUND)))
def test_a_truncated_envelope_is_refused(end: int) -> None:
    with pytest.raises(CodecError):
        open_envelope(SOUND[:end])


@pytest.mark.parametrize("end", range(0, len(msgspec.json.encode(EVERYTHING)), 3))
def test_a_truncated_json_envelope_is_refused(end: int) -> None:
    with pytest.raises(CodecError):
        open_envelope(msgspec.json.encode(EVERYTHING)[:end])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\xc0",
        b"\xc1",
        b"\x80",
        b"\x90",
        b"call",
        b"{",
        b"{}",
        b'{"task": 1}',
        b'{"task": "send"} x',
        b'{"task": "send", "args": }',
        b'{"task": "\xff"}',
        b'{"task": "\\ud800"}',
        b'{"task": "send", "created": 1e400}',
        b"{" * 100_000,
        b'{"task":"send","args":' + b"[" * 100_000,
        SOUND + b"\x80",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\x81\xa4task\xa2\xff\xff",
        b"\x81\x01\x02",
        b"\x81\x90\x02",
        b"\x82\xa4task\xa1x\xa4args" + b"\x91" * 100_000,
        b"\x82\xa4task\xa1x\xa4args\xc9\xff\xff\xff\xff\x05",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        open_envelope(data)


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": None},
        {"task": b"send"},
        {"task": ""},
        {"task": "two words"},
        {"task": "line\n"},
        {"task": "x" * 201},
        {"task": "\u202etfel"},
        {"v": "1"},
        {"created": "now"},
        {"created": -1},
        {"created": 2**63},
        {"expires": -1},
        {"expires": 1.5},
        {"deadline": -1},
        {"deadline": 1.5},
        {"deadline": 2**63},
        {"timeout": "1"},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": 1e300},
        {"result_ttl": float("nan")},
        {"result_ttl": float("inf")},
        {"result_ttl": -0.5},
        {"result_ttl": 1e18},
        {"retry": {"max_attempts": "3"}},
        {"retry": [3]},
        {"unique": 7},
        {"unique": "x" * 100_000},
        {"headers": {"a": 1}},
        {"headers": ["a"]},
        {"version": 0},
        {"version": -1},
        {"version": 1_000_001},
        {"version": 1.5},
        {"version": "2"},
    ],
    ids=lambda wrong: f"{wrong!r:.60}",
)
def test_a_field_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CodecError):
        opened({"task": "send"} | wrong)


@pytest.mark.parametrize("told", [{"result_ttl": -1}, {"v": 0}, {"version": 1}], ids=str)
def test_a_default_may_be_written_out(told: Any) -> None:
    assert opened({"task": "send"} | told) == Envelope(task="send")


def test_the_digest_is_the_same_for_equal_content() -> None:
    args: Any = ({"b": 1, "a": 2},)
    same: Any = ({"a": 2, "b": 1},)

    one = digest("q", "high", Envelope(task="t", created=1, headers={"h": "1"}), args, {})
    other = digest("q", "high", Envelope(task="t", created=2, expires=9), same, {})

    assert one == other
    assert len(one) == 8


@pytest.mark.parametrize(
    "changed",
    [
        {"task": "u"},
        {"timeout": 1},
        {"retry": {"max_attempts": 2}},
        {"result_ttl": 0},
        {"unique": "u"},
        {"version": 2},
        {"queue": "r"},
        {"priority": "low"},
        {"args": (2,)},
        {"args": (1, 1)},
        {"args": ("1",)},
        {"args": (True,)},
        {"kwargs": {"a": 1}},
    ],
    ids=str,
)
def test_the_digest_differs_with_everything_that_is_content(changed: dict[str, Any]) -> None:
    def of(told: dict[str, Any]) -> bytes:
        place = told.pop("queue"), told.pop("priority")
        call = told.pop("args"), told.pop("kwargs")
        return digest(*place, Envelope(**told), *call)

    plain = {"task": "t", "queue": "q", "priority": "high", "args": (1,), "kwargs": {}}

    assert of(dict(plain)) != of(plain | changed)
