"""The golden vectors: what is written today is what was promised, and what was written is read."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rqueue.codec import encode
from rqueue.envelope import VERSION, Envelope, digest, open_envelope, seal
from rqueue.ids import lengthen, shorten
from rqueue.names import check_job_id
from rqueue.protection import Encrypted, Protection, Signed
from rqueue.store.replies import delivery
from tests.protocol.vectors import VECTORS, by_name, raw

every_envelope = pytest.mark.parametrize("vector", VECTORS["envelopes"], ids=by_name)
every_id = pytest.mark.parametrize("vector", VECTORS["ids"], ids=by_name)
every_digest = pytest.mark.parametrize("vector", VECTORS["digests"], ids=by_name)
every_protected = pytest.mark.parametrize("vector", VECTORS["protected"], ids=by_name)
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


@every_protected
def test_protected_bytes_are_opened(vector: dict[str, Any]) -> None:
    opened = keys_of(vector).open(bytes.fromhex(vector["protected"]), *place_of(vector))

    assert opened.hex() == vector["plain"]


@every_protected
def test_bytes_are_protected_as_they_always_were(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = bytes.fromhex(vector["protected"])
    nonce = sealed[3 + len(vector["key_id"]) :]
    monkeypatch.setattr("rqueue.protection.os.urandom", lambda size: nonce[:size])

    protected = keys_of(vector).protect(bytes.fromhex(vector["plain"]), *place_of(vector))

    assert protected.hex() == vector["protected"]


@every_protected
def test_protected_bytes_are_what_the_document_says(vector: dict[str, Any]) -> None:
    kind = {"signed": 1, "encrypted": 2}[vector["kind"]]
    key_id, key = vector["key_id"].encode(), bytes.fromhex(vector["key"])
    head = bytes([0xC1, kind, len(key_id)]) + key_id
    texts = [vector[name].encode() for name in ("what", "queue", "id")]
    context = head + b"".join(len(one).to_bytes(2, "big") + one for one in texts)
    plain, rest = bytes.fromhex(vector["plain"]), bytes.fromhex(vector["protected"])[len(head) :]

    if kind == 1:
        said = blake2b(context + plain, digest_size=32, key=key, person=b"rqueue-signed-1")
        assert rest == said.digest() + plain
    else:
        assert AESGCM(key).decrypt(rest[:12], rest[12:], context) == plain
    assert bytes.fromhex(vector["protected"]).startswith(head)


@pytest.mark.parametrize("vector", VECTORS["protected_digests"], ids=by_name)
def test_the_digest_of_an_encrypted_call_is_what_the_document_says(vector: dict[str, Any]) -> None:
    keys = Encrypted({vector["key_id"]: bytes.fromhex(vector["key"])}, current=vector["key_id"])
    texts = [one.encode() for one in ("call", vector["queue"], vector["id"])]
    place = b"".join(len(one).to_bytes(2, "big") + one for one in texts)
    key = bytes.fromhex(vector["key"])
    secret = blake2b(place, digest_size=32, key=key, person=b"rqueue-digest-1").digest()
    envelope = Envelope(task=vector["task"])

    assert keys.content_key(vector["queue"], vector["id"]) == secret
    said = digest(vector["queue"], vector["priority"], envelope, (), {}, secret)
    assert said.hex() == vector["digest"]


@every_entry
def test_an_entry_is_read_as_its_delivery(vector: dict[str, Any]) -> None:
    fields = [word for pair in raw(vector["fields"]).items() for word in pair]
    words = [word.encode() if isinstance(word, str) else word for word in fields]

    read = delivery("q", vector["lane"], "w1", (vector["entry"].encode(), words))

    assert read is not None
    told = {name: getattr(read, name) for name in vector["delivery"] if name != "envelope"}
    assert told | {"envelope": read.envelope.hex()} == vector["delivery"]


def keys_of(vector: dict[str, Any]) -> Protection:
    kind = {"signed": Signed, "encrypted": Encrypted}[vector["kind"]]
    return kind({vector["key_id"]: bytes.fromhex(vector["key"])}, current=vector["key_id"])


def place_of(vector: dict[str, Any]) -> tuple[Any, str, str]:
    return vector["what"], vector["queue"], vector["id"]


def fields_of(envelope: Envelope) -> dict[str, Any]:
    """What an envelope says beside its version and arguments, defaults left out."""
    return {
        name: value
        for name in Envelope.__struct_fields__
        if name not in ("v", "args", "kwargs")
        and (value := getattr(envelope, name)) != getattr(Envelope(task=""), name)
    }
