"""The page that Prometheus scrapes, and those that an orchestrator probes; one small server."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from rqueue.errors import ConfigError

logger = logging.getLogger("rqueue")

Probe = Callable[[], str]
"""Why the answer is no, in words; "" = it is yes."""
Answer = Callable[[str, str], tuple[HTTPStatus, bytes]]
"""Status and JSON, for what the path names behind its beginning, and for the query."""
_LONGEST_REQUEST_S = 10.0


class Endpoint:
    """Serves ``/metrics`` and probes from threads of its own; ``with`` it.

    A probe is a page such as ``/readyz``: 200 with ``ok``, or 503 with the reason. No request can
    change anything.

    Args:
        registry: what is told under ``/metrics``.
        probes: by path.
        answers: by how a path begins.
        host: the address it listens on.
        port: 0 = any that is free.

    Raises:
        ConfigError: the address cannot be listened on.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        probes: Mapping[str, Probe],
        host: str = "127.0.0.1",
        port: int = 0,
        answers: Mapping[str, Answer] | None = None,
    ) -> None:
        pages = _Pages(registry, probes, answers or {})

        class Handler(_Handler):
            told = pages

        try:
            self._server = _Server((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot listen on {host}:{port} for metrics: {error}. Is another process there, "
                "or is the address not of this machine?"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="rqueue-metrics", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self._server.server_address[:2]
        name = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{name}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base names them
        """A client that hung up is no trouble of ours."""
        logger.debug("a request for the metrics failed: %s", sys.exc_info()[1])


class _Pages:
    """What there is to read."""

    def __init__(
        self,
        registry: CollectorRegistry,
        probes: Mapping[str, Probe],
        answers: Mapping[str, Answer],
    ) -> None:
        self._registry = registry
        self._probes = probes
        self._answers = answers

    def read(self, target: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, type and content of a page, by path and query."""
        path, _, query = target.partition("?")
        if path == "/metrics":
            encode, kind = choose_encoder(accept)
            return HTTPStatus.OK, kind, encode(self._registry)
        plain = "text/plain; charset=utf-8"
        probe = self._probes.get(path)
        if probe is not None:
            reason = probe()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
            return status, plain, f"{reason or 'ok'}\n".encode()
        for beginning, answer in self._answers.items():
            if path.startswith(beginning):
                return _json(*answer(unquote(path.removeprefix(beginning)), query))
        known = "\n".join(["/metrics", *self._probes, *self._answers])
        status = HTTPStatus.OK if path == "/" else HTTPStatus.NOT_FOUND
        return status, plain, f"{known}\n".encode()


def _json(status: HTTPStatus, content: bytes) -> tuple[HTTPStatus, str, bytes]:
    return status, "application/json", content


class _Handler(BaseHTTPRequestHandler):
    told: _Pages
    timeout = _LONGEST_REQUEST_S
    server_version = "rqueue"
    sys_version = ""

    def do_GET(self) -> None:
        try:
            page = self.told.read(self.path, self.headers.get("Accept", ""))
        except Exception:
            logger.exception("the page %.100s failed", self.path)
            page = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"failed; see the log\n"
        self._answer(*page)

    do_HEAD = do_GET  # noqa: N815 - the base class finds it by this name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base names it
        logger.debug("metrics: %s", format % args)

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody waits for it any more
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
