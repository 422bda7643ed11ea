"""The golden vectors: what is written today is what was promised, and what was written is read."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import msgspec
import pytest

from rqueue.codec import encode
from rqueue.envelope import VERSION, Envelope, digest, open_envelope, seal
from rqueue.ids import lengthen, shorten
from rqueue.names import check_job_id
from rqueue.store.replies import delivery
from tests.protocol.vectors import VECTORS, by_name, raw

every_envelope = pytest.mark.parametrize("vector", VECTORS["envelopes"], ids=by_name)
every_id = pytest.mark.parametrize("vector", VECTORS["ids"], ids=by_name)
every_digest = pytest.mark.parametrize("vector", VECTORS["digests"], ids=by_name)
every_entry = pytest.mark.parametrize("vector", VECTORS["entries"], ids=by_name)


def test_the_vectors_are_of_this_version() -> None:
    assert VECTORS["protocol"] == VERSION


@every_envelope
def test_an_envelope_is_read_from_msgpack(vector: dict[str, Any]) -> None:
    opened = open_envelope(bytes.fromhex(vector["msgpack"]))

    assert not opened.is_json
    assert fields_of(opened.envelope) == vector["fields"]
    assert msgspec.msgpack.decode(opened.envelope.args) == vector["args"]
    assert msgspec.msgpack.decode(opened.envelope.kwargs) == vector["kwargs"]


@every_envelope
def test_an_envelope_is_read_from_json(vector: dict[str, Any]) -> None:
    opened = open_envelope(vector["json"].encode())
    args, kwargs = opened.envelope.args, opened.envelope.kwargs

    assert opened.is_json
    assert fields_of(opened.envelope) == vector["fields"]
    assert (json.loads(bytes(args)) if vector["args"] else []) == vector["args"]
    assert (json.loads(bytes(kwargs)) if vector["kwargs"] else {}) == vector["kwargs"]


@every_envelope
def test_an_envelope_is_written_as_it_always_was(vector: dict[str, Any]) -> None:
    arguments = {
        name: msgspec.Raw(encode(vector[name])) for name in ("args", "kwargs") if vector[name]
    }

    assert seal(Envelope(**arguments, **vector["fields"])).hex() == vector["msgpack"]


@every_envelope
def test_both_forms_of_an_envelope_say_the_same(vector: dict[str, Any]) -> None:
    decoded = msgspec.msgpack.decode(bytes.fromhex(vector["msgpack"]))

    assert decoded == json.loads(vector["json"])


@every_id
def test_an_id_is_written_short_and_read_again(vector: dict[str, Any]) -> None:
    assert check_job_id(vector["id"]) == vector["id"]
    assert shorten(vector["id"]) == vector["short"]
    assert lengthen(vector["short"]) == vector["id"]


@every_digest
def test_a_digest_is_what_it_always_was(vector: dict[str, Any]) -> None:
    envelope = Envelope(task=vector["task"], **vector["options"])
    args, kwargs = tuple(vector["args"]), vector["kwargs"]

    assert (
        digest(vector["queue"], vector["priority"], envelope, args, kwargs).hex()
        == (vector["digest"])
    )


@every_digest
def test_a_digest_is_what_the_document_says(vector: dict[str, Any]) -> None:
    options = {"timeout": 0, "retry": None, "result_ttl": -1, "unique": ""} | vector["options"]
    message = bytes.fromhex(vector["message"])
    key = vector["queue"].encode()

    assert msgspec.msgpack.decode(message) == [
        vector["task"], vector["args"], vector["kwargs"], vector["priority"], *options.values()
    ]  # fmt: skip
    said = blake2b(message, digest_size=8, key=key, person=b"rqueue-content").hexdigest()
    assert said == vector["digest"]


@every_entry
def test_an_entry_is_read_as_its_delivery(vector: dict[str, Any]) -> None:
    fields = [word for pair in raw(vector["fields"]).items() for word in pair]
    words = [word.encode() if isinstance(word, str) else word for word in fields]

    read = delivery("q", vector["lane"], "w1", (vector["entry"].encode(), words))

    assert read is not None
    told = {name: getattr(read, name) for name in vector["delivery"] if name != "envelope"}
    assert told | {"envelope": read.envelope.hex()} == vector["delivery"]


def fields_of(envelope: Envelope) -> dict[str, Any]:
    """What an envelope says beside its version and arguments, defaults left out."""
    return {
        name: value
        for name in Envelope.__struct_fields__
        if name not in ("v", "args", "kwargs")
        and (value := getattr(envelope, name)) != getattr(Envelope(task=""), name)
    }
