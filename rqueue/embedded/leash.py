"""The parent's end of a guardian: words go out on a socket, answers come back on it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from rqueue.embedded import guardian
from rqueue.embedded.errors import EmbeddedServerError
from rqueue.embedded.home import Home, remove_abandoned, tail

_ANSWER_SECONDS = 10.0
"""More than the guardian's own patience with a server that does not want to stop."""
_BURY_SECONDS = 2.0


class Leash:
    """Starts a guardian and speaks with it."""

    def __init__(self, home: Home, binary: Path, data_dir: Path | None) -> None:
        self._home = home
        self._owner = os.getpid()
        self._server = 0
        self._unread = b""
        arguments = [str(self._owner), str(home.path), str(binary)]
        if data_dir is not None:
            arguments.append(str(data_dir))
        self._process, self._socket = _spawn(arguments)

    @property
    def owned(self) -> bool:
        """Whether this is the process that made it, and not a forked copy."""
        return os.getpid() == self._owner

    def await_home(self) -> None:
        """Wait until the guardian has made the home and locked the data."""
        self._await("ready")

    def start_server(self) -> int:
        """Have a server started; its pid says nothing yet about its health."""
        self._send("start")
        self._server = int(self._await("started"))
        return self._server

    def end_server(self, word: str) -> None:
        """Have the server ended by ``stop`` or ``kill``, and wait until it has."""
        if self._server:
            self._send(word)
            self._await("exited")
            self._server = 0

    def exit_status(self, within_seconds: float) -> int | None:
        """Return the status with which the server ended, None if it has not within the time."""
        line = self._read_line(within_seconds)
        if line is None:
            return None
        self._server = 0
        return int(_value(line, "exited"))

    def close(self) -> None:
        """End the server and the guardian, see the home removed; does nothing in a forked copy."""
        if not self.owned:
            return
        with contextlib.suppress(OSError):
            self._socket.sendall(b"quit\n")
        try:
            self._process.wait(_ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._socket.close()
        if self._process.returncode != 0:
            self._bury()

    def _send(self, word: str) -> None:
        try:
            self._socket.sendall(f"{word}\n".encode())
        except OSError:
            raise self._guardian_gone() from None

    def _await(self, expected: str) -> str:
        line = self._read_line(_ANSWER_SECONDS)
        if line is None:
            raise EmbeddedServerError(
                f"the guardian of the embedded server (process {self._process.pid}) has not said "
                f"{expected!r} within {_ANSWER_SECONDS:g} s{tail(self._home.log)}"
            )
        return _value(line, expected)

    def _read_line(self, within_seconds: float) -> str | None:
        self._socket.settimeout(within_seconds)
        while b"\n" not in self._unread:
            try:
                received = self._socket.recv(4096)
            except TimeoutError:
                return None
            except ConnectionError:
                received = b""
            if not received:
                raise self._guardian_gone()
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def _guardian_gone(self) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"the guardian of the embedded server (process {self._process.pid}, "
            f"{sys.executable} {guardian.__file__}) has ended{tail(self._home.log)}"
        )

    def _bury(self) -> None:
        """Do what a guardian that was killed could not; on Linux its server died with it."""
        if self._server and not remove_abandoned(self._home.path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._server, signal.SIGKILL)
        deadline = time.monotonic() + _BURY_SECONDS
        while not remove_abandoned(self._home.path) and time.monotonic() < deadline:
            time.sleep(0.01)


def _spawn(arguments: list[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own script, no shell
            [sys.executable, "-I", "-S", guardian.__file__, *arguments],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the Ctrl-C of a terminal is for the parent to judge
        )
    except OSError as error:
        ours.close()
        raise EmbeddedServerError(
            f"the guardian of the embedded server could not be started: {error}"
        ) from error
    finally:
        theirs.close()
    return process, ours


def _value(line: str, expected: str) -> str:
    word, _, value = line.partition(" ")
    if word != expected:
        raise EmbeddedServerError(f"the embedded server was {word}: {value}")
    return value
