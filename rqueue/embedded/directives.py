"""The configuration file of an embedded server, good for Redis 6.2 and all that came after."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping
from pathlib import Path

from rqueue.embedded.errors import EmbeddedServerError
from rqueue.embedded.home import Home

_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_PLAIN = frozenset((string.ascii_letters + string.digits + "/._-").encode())
_OURS = frozenset(
    (
        *("bind", "port", "unixsocket", "unixsocketperm"),
        *("daemonize", "dir", "include", "logfile", "pidfile", "supervised"),
    )
)


def check_directives(config: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of the caller's directives, or raise for one that could not work."""
    for name, value in config.items():
        if not _NAME.match(name.lower()):
            raise EmbeddedServerError(f"config: {name!r} is not the name of a directive")
        if name.lower() in _OURS:
            raise EmbeddedServerError(f"config: {name!r} is set by EmbeddedServer itself")
        if any(character in value for character in "\r\n\0"):
            raise EmbeddedServerError(f"config: the value of {name!r} has more than one line")
    return {name.lower(): value for name, value in config.items()}


def render(home: Home, data: Path, port: int, config: Mapping[str, str]) -> str:
    """Return the text of the configuration file; port 0 is no port."""
    ours = {
        "bind": "127.0.0.1",
        "port": str(port),
        "unixsocket": quoted(home.socket),
        "unixsocketperm": "700",
        "dir": quoted(data),
        "daemonize": "no",
    }
    given = {"save": "", **config}
    lines = [f"{name} {value or quoted('')}" for name, value in (given | ours).items()]
    return "\n".join(lines) + "\n"


def quoted(value: str | os.PathLike[str]) -> str:
    """Return a string as the configuration file spells it, whatever bytes it has."""
    spelled = (chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(value))
    return f'"{"".join(spelled)}"'
