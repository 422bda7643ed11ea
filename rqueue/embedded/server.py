"""EmbeddedServer: a Valkey or Redis server that is there when asked for and gone afterwards."""

from __future__ import annotations

import socket
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack
from urllib.parse import quote

from rqueue.embedded.binary import find_binary
from rqueue.embedded.directives import check_directives, render
from rqueue.embedded.errors import EmbeddedServerError
from rqueue.embedded.home import Home, sweep, tail
from rqueue.embedded.leash import Leash
from rqueue.embedded.options import Options
from rqueue.embedded.probe import probe

_READY_SECONDS = 10.0
_PROBE_SECONDS = 0.005
_PORT_ATTEMPTS = 5
_PORT_TAKEN = "Address already in use"
_LOADED = b"eady to accept connections"
"""What every server says, in one sentence or another, when it has loaded its data."""
_QUIET = ("warning", "nothing")
"""Levels of a log that do not have it."""


class EmbeddedServer:
    """A server of this process: started with ``with`` or ``start``, ended at the latest with it.

    A guardian process ends the server and removes its files however this process ends, even by
    SIGKILL. A forked copy of this process may use the server, but has no say over its life.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self._binary = find_binary(options.get("binary"))
        data_dir = options.get("data_dir")
        self._data_dir = None if data_dir is None else Path(data_dir).absolute()
        self._config = {
            "appendonly": "no" if data_dir is None else "yes",
            "appendfsync": options.get("appendfsync", "everysec"),
            **check_directives(options.get("config") or {}),
        }
        self._tcp = options.get("tcp", False)
        self._wished_port = options.get("port", 0)
        self._port = 0
        self._pid = 0
        self._home = Home.choose()
        self._leash: Leash | None = None
        self._close: Callable[[], object] = lambda: None

    @classmethod
    def start(cls, **options: Unpack[Options]) -> Self:
        """Start a server and return it once it answers; it runs until ``stop``."""
        return cls(**options).__enter__()

    def __enter__(self) -> Self:
        if self._leash is not None:
            return self
        self._make_data_dir()
        self._leash = Leash(self._home, self._binary, self._data_dir)
        self._close = weakref.finalize(self, self._leash.close)
        try:
            sweep(self._home.path.parent)
            self._leash.await_home()
            self._listen(self._leash)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of database 0, as redis-py takes it; without any credentials."""
        if self._tcp:
            return f"redis://127.0.0.1:{self._port}/0"
        return f"unix://{quote(str(self._home.socket))}?db=0"

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1; 0 when it has none."""
        return self._port

    @property
    def pid(self) -> int:
        """The process id of the server, or the last one it had; 0 before it was started."""
        return self._pid

    @property
    def directory(self) -> Path:
        """The private directory with its socket, configuration and log; gone after ``stop``."""
        return self._home.path

    def stop(self) -> None:
        """End the server and remove its directory; harmless when that is done already."""
        self._close()
        self._leash = None

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would; ``restart`` brings it back."""
        self._held().end_server("kill")

    def restart(self) -> None:
        """Start the server again at the same address, after a clean end if it still runs.

        Only what is in an append-only file survives: give a ``data_dir``, or ``appendonly`` in
        ``config``.
        """
        leash = self._held()
        leash.end_server("stop")
        self._launch(leash)

    def _make_data_dir(self) -> None:
        if self._data_dir is None:
            return
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedServerError(f"data_dir cannot be made: {error}") from error

    def _held(self) -> Leash:
        if self._leash is None:
            raise EmbeddedServerError("the embedded server is not started")
        if not self._leash.owned:
            raise EmbeddedServerError("only the process that started a server may end it")
        return self._leash

    def _listen(self, leash: Leash) -> None:
        data = self._data_dir or self._home.path
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            wished = self._wished_port if attempt == 1 else 0
            self._port = (wished or _free_port()) if self._tcp else 0
            self._home.config.write_text(render(self._home, data, self._port, self._config))
            try:
                self._launch(leash)
            except EmbeddedServerError as error:
                # Between our look, or an earlier start, and the server's bind somebody took it.
                if attempt == _PORT_ATTEMPTS or _PORT_TAKEN not in str(error):
                    raise
            else:
                return

    def _launch(self, leash: Leash) -> None:
        log = self._home.log
        written = log.stat().st_size
        self._pid = leash.start_server()
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            status = leash.exit_status(_PROBE_SECONDS)
            if status is not None:
                raise EmbeddedServerError(
                    f"{self._binary} ended with status {status} before it was ready. "
                    f"The end of its log:{tail(log, written)}"
                )
            # Also with a port: only our own server can answer on a socket in a private directory.
            state = probe(self._home.socket)
            if state == "up" or (state == "refused" and self._is_loaded(written)):
                return
            if state != "silent":
                deadline = time.monotonic() + _READY_SECONDS
        leash.end_server("kill")
        raise EmbeddedServerError(
            f"{self._binary} did not answer within {_READY_SECONDS:g} s. "
            f"The end of its log:{tail(log, written)}"
        )

    def _is_loaded(self, written: int) -> bool:
        """Whether the log says so, from an offset on; a log that tells less is no help."""
        if self._config.get("loglevel", "notice").lower() in _QUIET:
            return True
        with self._home.log.open("rb") as log:
            log.seek(written)
            return _LOADED in log.read()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
