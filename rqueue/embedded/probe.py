"""Whether a server behind a unix socket takes commands yet."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal

_ANSWER_SECONDS = 1.0


_REFUSALS = (b"-NOAUTH", b"-NOPERM")


def probe(path: Path) -> Literal["up", "loading", "refused", "silent"]:
    """Send one PING.

    ``refused`` says that it wants a password, and not whether it has loaded its data: a server
    looks at that first.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            reply = connection.recv(64)
        except OSError:
            return "silent"
    if not reply:
        return "silent"
    if reply.startswith(_REFUSALS):
        return "refused"
    return "loading" if reply.startswith(b"-LOADING") else "up"
