"""Whether a server behind a unix socket takes commands yet."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal

_ANSWER_SECONDS = 1.0


def probe(path: Path) -> Literal["up", "loading", "silent"]:
    """Send one PING.

    A refusal (``-NOAUTH``, ``-NOPERM``) is an answer too: a server with passwords is up before
    anyone has logged in.
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
    return "loading" if reply.startswith(b"-LOADING") else "up"
