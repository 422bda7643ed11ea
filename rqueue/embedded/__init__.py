"""A Valkey server of one's own, for development and tests: no install, no port, no leftovers.

    with EmbeddedServer() as server:
        app = App(server.url)

It lives as long as the process that started it, whatever way that process ends. Linux and macOS.
"""

from __future__ import annotations

from rqueue.embedded.errors import EmbeddedServerError
from rqueue.embedded.options import Options
from rqueue.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "EmbeddedServerError", "Options"]
