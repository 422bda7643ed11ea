"""A proxy in front of a server that loses answers, as networks do."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlparse


class Proxy:
    """Passes everything on, except what it was told to lose: ``with Proxy(url) as proxy``.

    ``proxy.url`` is its address.
    """

    def __init__(self, server_url: str) -> None:
        self._server = urlparse(server_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.lost = 0
        self.requests: deque[bytes] = deque(maxlen=1000)
        self._losing: list[bytes] = []
        self._is_cut = threading.Event()
        self._is_closed = threading.Event()
        self._is_stalled = False
        self._passing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def lose_answer_to(self, words: bytes) -> None:
        """The next request that contains these bytes is carried out, its answer never arrives."""
        self._losing.append(words)

    def count(self, words: bytes) -> int:
        """How often these bytes were in the requests so far; of many, in the last thousand."""
        return sum(data.count(words) for data in list(self.requests))

    def cut(self) -> None:
        """Break every connection and take no new one, until ``mend``."""
        self._is_cut.set()

    def stall(self) -> None:
        """Keep every connection and pass nothing on, until ``mend``; as a cable cut far away."""
        with self._passing:
            self._is_stalled = True

    def mend(self) -> None:
        """Take connections again, and pass on what was held back."""
        self._is_cut.clear()
        self._is_stalled = False

    def _start(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self._is_closed.is_set():
            with suppress(OSError):
                client, _ = self._listener.accept()
                if self._is_cut.is_set():
                    client.close()
                else:
                    self._start(self._carry, client)

    def _connect(self) -> socket.socket:
        if self._server.scheme == "unix":
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(Path(self._server.path)))
            return server
        return socket.create_connection((self._server.hostname, self._server.port))

    def _carry(self, client: socket.socket) -> None:
        with suppress(OSError), client, self._connect() as server:
            losing = False
            while losing is not None and not (self._is_closed.is_set() or self._is_cut.is_set()):
                for ready in select.select([client, server], [], [], 0.02)[0]:
                    with self._passing:
                        is_stalled = self._is_stalled
                        if not is_stalled:
                            losing = self._pass_on(ready, (client, server), losing)
                    if losing is None:
                        break
                    if is_stalled:
                        self._is_closed.wait(0.005)

    def _pass_on(
        self, ready: socket.socket, ends: tuple[socket.socket, socket.socket], losing: bool
    ) -> bool | None:
        """Whether the next answer is to be lost; None when there is nothing more to carry."""
        client, server = ends
        data = ready.recv(1 << 20)
        if not data:
            return None
        if ready is client:
            self.requests.append(data)
            losing = self._shall_lose(data) or losing
            server.sendall(data)
        elif losing:
            self.lost += 1
            return None
        else:
            client.sendall(data)
        return losing

    def _shall_lose(self, data: bytes) -> bool:
        for words in self._losing:
            if words in data:
                self._losing.remove(words)
                return True
        return False
