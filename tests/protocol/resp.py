"""The least Redis client there can be: what a producer in another language has to write."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit


def socket_of(url: str) -> str:
    """The path of a server's socket, from ``unix://<path>?db=0``."""
    return unquote(urlsplit(url).path)


class Resp:
    """One connection; an answer is bytes, int, None, a list, or a raised ``RuntimeError``."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(socket_of(url))
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, *words: bytes | str | int) -> Any:
        """Send one command and read its answer."""
        self._socket.sendall(b"*%d\r\n" % len(words) + b"".join(map(_bulk, words)))
        return self.read()

    def read(self) -> Any:
        """The next answer or message."""
        line = self._file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"+":
            return rest
        count = int(rest)
        if kind == b":":
            return count
        if count < 0:
            return None
        if kind == b"*":
            return [self.read() for _ in range(count)]
        return self._file.read(count + 2)[:-2]


def _bulk(word: bytes | str | int) -> bytes:
    data = word if isinstance(word, bytes) else str(word).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
