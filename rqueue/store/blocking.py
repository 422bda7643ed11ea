"""Connections of blocking code: one trip at a time on each, so that threads may share a pool.

redis-py makes them, as it makes those of ``store/wire.py``; its pool and its reading cost more
than the trip itself.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from redis import exceptions as errors

from rqueue.store.connection import MORE, POOL_SIZE, QUEUEING_S, reply_reader

_CHUNK = 65_536


class BlockingWire:
    """A connection that redis-py has made; it is nobody else's from here on.

    Args:
        connection: of redis-py, connected, with nothing under way.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket: socket.socket = connection._sock  # noqa: SLF001 - redis-py has no public name for it
        self._reader = reply_reader(connection)
        self._patience_s = self._socket.gettimeout()
        self._incoming = select.poll()
        self._incoming.register(self._socket, select.POLLIN)

    def exchange(self, data: bytes, wanted: int, patience_s: float) -> list[Any]:
        """Send commands and read their answers, error replies among them.

        Args:
            data: the packed commands.
            wanted: how many answers they have.
            patience_s: seconds to wait for a sign of life.

        Raises:
            OSError: whether they ran is not known; the connection is of no use any more.
            redis.RedisError: likewise.
        """
        if patience_s != self._patience_s:
            self._socket.settimeout(patience_s)
            self._patience_s = patience_s
        self._socket.sendall(data)
        replies: list[Any] = []
        while len(replies) < wanted:
            reply = self._reader.gets()
            if reply is MORE:
                came = self._socket.recv(_CHUNK)
                if not came:
                    raise errors.ConnectionError("the server closed the connection")
                self._reader.feed(came)
            else:
                replies.append(reply)
        return replies

    def is_stale(self) -> bool:
        """Whether it was closed, or said something unasked, while it was idle."""
        if not self._incoming.poll(0):
            return False
        if not isinstance(self._socket, ssl.SSLSocket):
            return True
        # What has come may be TLS's own, such as a ticket for the next session.
        self._socket.settimeout(0)
        self._patience_s = 0
        try:
            self._socket.recv(1)
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Hang up."""
        self._connection.disconnect()


class BlockingWires:
    """The connections of one process, made when they are needed; the last used is the next.

    Args:
        pool: of redis-py, which knows how to connect.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._idle: list[BlockingWire] = []
        self._room = threading.Semaphore(POOL_SIZE)

    @contextmanager
    def own(self) -> Generator[BlockingWire]:
        """A wire for one trip.

        Raises:
            redis.RedisError: none can be made.
            OSError: likewise.
        """
        if not self._room.acquire(timeout=QUEUEING_S):
            raise errors.ConnectionError(f"none of {POOL_SIZE} connections was free in time")
        idle = self._idle
        try:
            wire = self._idle_one() or self._connect()
            try:
                yield wire
            except BaseException:  # an answer may still come, and would be taken for the next one's
                wire.close()
                raise
            if idle is self._idle:
                idle.append(wire)
            else:  # all was closed meanwhile
                wire.close()
        finally:
            self._room.release()

    def close(self) -> None:
        """Hang up everywhere."""
        idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def _idle_one(self) -> BlockingWire | None:
        while self._idle:
            try:
                wire = self._idle.pop()
            except IndexError:  # another thread was first
                return None
            if not wire.is_stale():
                return wire
            wire.close()
        return None

    def _connect(self) -> BlockingWire:
        connection: Any = self._pool.make_connection()
        try:
            connection.connect()
        except UnicodeError as error:  # no host has such a name
            raise errors.ConnectionError(error) from error
        except BaseException:
            connection.disconnect()
            raise
        return BlockingWire(connection)
