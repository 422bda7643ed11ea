"""Keys: what they make, what they open, what they refuse, and that they are never shown."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from rqueue.app import App
from rqueue.errors import ConfigError, ProtectionError
from rqueue.protection import PLAIN, Encrypted, Protection, Signed, is_protected

OLD, NEW = b"o" * 32, b"n" * 32
KINDS: list[Any] = [Signed, Encrypted]
REASON = {Signed: "bad_signature", Encrypted: "decrypt"}
every_kind = pytest.mark.parametrize("kind", KINDS)


def refusal(protection: Protection, data: bytes, *place: Any) -> ProtectionError:
    what, queue, job_id = place or ("call", "q", "x")
    with pytest.raises(ProtectionError) as refused:
        protection.open(data, what, queue, job_id)
    return refused.value


@every_kind
def test_what_was_protected_is_opened(kind: Any) -> None:
    keys = kind({"k": OLD}, current="k")

    sealed = keys.protect(b"body", "call", "q", "x")

    assert is_protected(sealed)
    assert keys.open(sealed, "call", "q", "x") == b"body"


@every_kind
def test_an_empty_body_is_opened(kind: Any) -> None:
    keys = kind({"k": OLD}, current="k")

    assert keys.open(keys.protect(b"", "result", "q", "x"), "result", "q", "x") == b""


@every_kind
@pytest.mark.parametrize(
    "place",
    [
        ("call", "q", "y"),
        ("call", "r", "x"),
        ("result", "q", "x"),
        ("error", "q", "x"),
        ("call", "qx", ""),
        ("call", "", "qx"),
    ],
    ids=str,
)
def test_it_fits_no_other_place(kind: Any, place: Any) -> None:
    keys = kind({"k": OLD}, current="k")
    sealed = keys.protect(b"body", "call", "q", "x")

    refused = refusal(keys, sealed, *place)

    assert refused.reason == REASON[kind]
    assert "not" in str(refused)


@every_kind
def test_old_keys_open_and_only_the_current_one_protects(kind: Any) -> None:
    before = kind({"old": OLD}, current="old")
    during = kind({"old": OLD, "new": NEW}, current="new")
    after = kind({"new": NEW}, current="new")
    sealed = before.protect(b"body", "call", "q", "x")

    assert during.open(sealed, "call", "q", "x") == b"body"
    assert after.open(during.protect(b"body", "call", "q", "x"), "call", "q", "x") == b"body"
    assert "'old', which is not known here" in str(refusal(after, sealed))


@every_kind
def test_another_key_of_the_same_id_opens_nothing(kind: Any) -> None:
    sealed = kind({"k": OLD}, current="k").protect(b"body", "call", "q", "x")

    assert refusal(kind({"k": NEW}, current="k"), sealed).reason == REASON[kind]


@every_kind
def test_one_key_under_another_id_opens_nothing(kind: Any) -> None:
    sealed = kind({"a": OLD}, current="a").protect(b"body", "call", "q", "x")

    both = kind({"a": OLD, "b": OLD}, current="a")
    assert refusal(both, sealed.replace(b"\x01a", b"\x01b", 1)).reason == REASON[kind]


@every_kind
@pytest.mark.parametrize("data", [b"", b"\x80", b"{}", b"\xc1", b"\xc1\x01", b"\xc1\x01\x01k"])
def test_what_is_not_protected_is_refused(kind: Any, data: bytes) -> None:
    assert refusal(kind({"k": OLD}, current="k"), data).reason == REASON[kind]


@every_kind
def test_plain_bytes_are_taken_during_an_introduction(kind: Any) -> None:
    keys = kind({"k": OLD}, current="k", accept_plain=True)

    assert keys.open(b"\x80", "call", "q", "x") == b"\x80"
    assert refusal(keys, b"\xc1\x01\x01k").reason == REASON[kind]
    forged = kind({"k": NEW}, current="k").protect(b"\x80", "call", "q", "x")
    assert refusal(keys, forged).reason == REASON[kind]


def test_one_kind_does_not_open_the_other() -> None:
    signed, encrypted = Signed({"k": OLD}, current="k"), Encrypted({"k": OLD}, current="k")

    told = refusal(encrypted, signed.protect(b"body", "call", "q", "x"))
    assert (told.reason, "but not encrypted" in str(told)) == ("decrypt", True)
    told = refusal(signed, encrypted.protect(b"body", "call", "q", "x"))
    assert (told.reason, "but not signed" in str(told)) == ("bad_signature", True)


def test_without_keys_plain_bytes_are_left_alone_and_protected_ones_refused() -> None:
    sealed = Signed({"k": OLD}, current="k").protect(b"body", "call", "q", "x")

    assert PLAIN.protect(b"body", "call", "q", "x") == b"body"
    assert PLAIN.open(b"body", "call", "q", "x") == b"body"
    assert PLAIN.open(b"\xc1", "call", "q", "x") == b"\xc1"
    assert refusal(PLAIN, sealed).reason == "no_keys"


def test_encrypted_bytes_do_not_show_the_body_and_never_repeat() -> None:
    keys = Encrypted({"k": OLD}, current="k")

    sealed = {keys.protect(b"canary", "call", "q", "x") for _ in range(100)}

    assert len(sealed) == 100
    assert not any(b"canary" in one for one in sealed)


@every_kind
def test_the_digest_of_content_stays_over_a_rotation(kind: Any) -> None:
    alone = kind({"2026": OLD}, current="2026")
    added = kind({"2027": NEW, "2026": OLD}, current="2026")
    switched = kind({"2026": OLD, "2027": NEW}, current="2027")

    told = {keys.content_key("q", "x") for keys in (alone, added, switched)}
    assert len(told) == 1


def test_the_digest_of_encrypted_content_is_secret_and_of_one_job() -> None:
    keys = Encrypted({"k": OLD}, current="k")

    told = {
        keys.content_key("q", "x"),
        keys.content_key("q", "y"),
        keys.content_key("r", "x"),
        keys.content_key("qx", ""),
        Encrypted({"k": NEW}, current="k").content_key("q", "x"),
        OLD,
    }
    assert (len(told), {len(one) for one in told}) == (6, {32})
    signed = Signed({"k": OLD}, current="k").content_key("q", "x")
    assert signed == PLAIN.content_key("q", "x") == b"q"


@every_kind
@pytest.mark.parametrize(
    ("keys", "current", "said"),
    [
        ({}, "k", "There are: none"),
        ({"k": OLD}, "other", "There are: k"),
        ({"k": b"s" * 31}, "k", "has 31 bytes"),
        ({"k": b"s" * 65}, "k", "has 65 bytes"),
        ({"k": "s" * 32}, "k", "is a str"),
        ({"k": OLD}, b"s" * 32, "There are: k"),
        ({"": OLD}, "", "the id of a key must be"),
        ({"a b": OLD}, "a b", "the id of a key must be"),
        ({"s" * 33: OLD}, "k", "the id of a key must be"),
        ({b"s" * 32: "k"}, "k", "the id of a key must be"),
    ],
    ids=lambda one: str(one)[:20],
)
def test_keys_that_cannot_be_used_are_refused_and_not_shown(
    kind: Any, keys: Any, current: Any, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        kind(keys, current=current)

    assert said in str(refused.value)
    assert "ssss" not in str(refused.value)


def test_a_signing_key_may_be_longer_and_one_of_aes_not() -> None:
    assert Signed({"k": b"s" * 64}, current="k")
    with pytest.raises(ConfigError, match="has 33 bytes; Encrypted takes 32 bytes"):
        Encrypted({"k": b"s" * 33}, current="k")


@every_kind
def test_keys_are_not_shown(kind: Any) -> None:
    keys = kind({"2027": NEW, "2026": OLD}, current="2027")
    app = App(protection=keys)

    assert repr(keys) == f"<{kind.__name__} keys: 2026, 2027; current: 2027>"
    assert "nnnn" not in repr(app.store)
    assert "nnnn" not in repr(refusal(keys, b""))


def test_a_protection_that_is_none_is_refused_and_not_shown() -> None:
    key: Any = b"s" * 32

    with pytest.raises(ConfigError, match="not a bytes") as refused:
        App(protection=key)
    assert "ssss" not in str(refused.value)


def test_encryption_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)

    with pytest.raises(ConfigError, match=r"pip install 'rqueue\[crypto\]'"):
        Encrypted({"k": OLD}, current="k")
    assert Signed({"k": OLD}, current="k")
