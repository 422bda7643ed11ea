"""Secrets that are easy to find: where one of them is told, something has sung (I15)."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator

from rqueue import Signed
from tests.faults.evidence import Evidence, Violation

PASSWORD = "canary-in-the-url"
SECRET = "canary-in-a-sensitive-argument"
KEY = b"canary-in-the-key-that-signs-all"
CANARY = "canary-in-the-payload"
"""Stands in the arguments of many jobs: for whoever looks at a job, but not for logs."""

SIGNED = Signed({"2026-11": KEY}, current="2026-11")
SHOWN = "shown: "
"""How the name of a text begins that somebody has asked for, about a job."""


def spellings(secret: bytes) -> set[str]:
    """A secret as a program might print it."""
    encoded = (b64encode(secret), urlsafe_b64encode(secret))
    return {secret.decode(), secret.hex(), *(one.decode().rstrip("=") for one in encoded)}


_EVERYWHERE = {
    "the password": spellings(PASSWORD.encode()),
    "a sensitive argument": spellings(SECRET.encode()),
    "the key": spellings(KEY),
}
_IN_LOGS = {**_EVERYWHERE, "a payload": spellings(CANARY.encode())}


def i15_nothing_secret_is_told(evidence: Evidence) -> Iterator[Violation]:
    for name, text in evidence.texts.items():
        wanted = _EVERYWHERE if name.startswith(SHOWN) else _IN_LOGS
        for secret, spelt in wanted.items():
            if any(spelling in text for spelling in spelt):
                yield Violation("I15", f"{secret} stands in {name}")
