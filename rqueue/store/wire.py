"""One connection of an event loop that carries many trips at a time; Redis answers in order.

redis-py makes the connection (TLS, credentials, database, name) and its pool takes one caller at a
time, at 40 to 100 microseconds each. Here the connection is taken over once it stands: a trip is
one write, a future, and hiredis. A caller that is cancelled only forgets its future; the answer is
read and dropped, so the connection stays in step and is kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from redis import exceptions as errors

from rqueue.store.connection import MORE, reply_reader

_MESSAGES = ([b"message"], [b"pmessage"])
_SECOND_LOOK_S = 0.1
"""A loop that was blocked may turn to its timers before it reads what has come meanwhile."""


def _is_message(reply: Any) -> bool:
    return isinstance(reply, list) and reply[:1] in _MESSAGES


class Trip:
    """What was sent together, and the answers that came so far.

    Attributes:
        wanted: how many answers.
        patience_s: seconds in which something of them must come.
        replies: raw, in order; errors among them.
        done: gets the replies.
    """

    __slots__ = ("done", "patience_s", "replies", "wanted")

    def __init__(self, wanted: int, patience_s: float, done: asyncio.Future[list[Any]]) -> None:
        self.wanted = wanted
        self.patience_s = patience_s
        self.replies: list[Any] = []
        self.done = done


class Wire(asyncio.Protocol):
    """A connection that redis-py has made; it is nobody else's from here on.

    Args:
        connection: of redis-py, connected, with nothing under way.
        on_message: takes what a subscription brings, as Redis writes it; None = there is none.
    """

    def __init__(
        self, connection: Any, on_message: Callable[[list[Any]], None] | None = None
    ) -> None:
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport  # noqa: SLF001 - redis-py has no public name for it
        self._reader = reply_reader(connection)
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        """Set when the connection has ended."""
        self._trips: deque[Trip] = deque()
        self._heard = 0.0
        self._is_late = False
        self._timer: asyncio.TimerHandle | None = None
        self._lost: Callable[[], Exception] | None = None
        self.is_open = True
        """Whether more may be sent now: it stands, and what was sent is not held up."""
        self._transport.set_protocol(self)

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended."""
        return self._lost is not None

    @property
    def under_way(self) -> int:
        """How many trips wait for answers."""
        return len(self._trips)

    def exchange(self, data: bytes, wanted: int, patience_s: float) -> asyncio.Future[list[Any]]:
        """Send commands; the future brings their answers, error replies among them.

        Args:
            data: the packed commands.
            wanted: how many answers they have.
            patience_s: seconds without a sign of life after which the connection is given up.

        Returns:
            What may be cancelled freely. Its error is redis-py's or an ``OSError`` when the
            connection is lost first: whether the commands ran is not known then.
        """
        done: asyncio.Future[list[Any]] = self._loop.create_future()
        if self._lost is not None:
            done.set_exception(self._lost())
            return done
        now = self._loop.time()
        if not self._trips:
            self._heard = now
        self._trips.append(Trip(wanted, patience_s, done))
        self._transport.write(data)
        if self._timer is None or self._timer.when() > now + patience_s:
            self._watch_for(patience_s)
        return done

    async def ask(self, data: bytes, patience_s: float) -> Any:
        """Send one command; its answer, or the error reply is raised."""
        (reply,) = await self.exchange(data, 1, patience_s)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        """Hang up; who waits for an answer is told so."""
        self._end(errors.ConnectionError, "the connection was closed")

    def data_received(self, data: bytes) -> None:
        """Answers have come, or parts of them."""
        self._heard, self._is_late = self._loop.time(), False
        gets, trips = self._reader.gets, self._trips
        try:
            self._reader.feed(data)
            while (reply := gets()) is not MORE:
                if self._on_message is not None and _is_message(reply):
                    self._on_message(reply)
                    continue
                if not trips:
                    told = f"something nobody asked for came: {reply!r:.100}"
                    self._end(errors.ConnectionError, told)
                    return
                trip = trips[0]
                trip.replies.append(reply)
                if len(trip.replies) == trip.wanted:
                    trips.popleft()
                    if not trip.done.done():
                        trip.done.set_result(trip.replies)
        except errors.InvalidResponse as error:
            told = f"what answers does not speak as Redis does: {error}"
            self._end(errors.ConnectionError, told)

    def pause_writing(self) -> None:
        """The other side does not keep up; let others use another connection."""
        self.is_open = False

    def resume_writing(self) -> None:
        """It has caught up."""
        self.is_open = self._lost is None

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, by whichever side."""
        self._end(errors.ConnectionError, str(exc or "the server closed the connection"))

    def _watch_for(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._watch)

    def _watch(self) -> None:
        """Give up a connection on which nothing comes, though something should."""
        self._timer = None
        if not self._trips:
            return
        patience_s = self._trips[0].patience_s
        left = self._heard + patience_s - self._loop.time()
        if left <= 0:
            if self._is_late:
                self._end(TimeoutError, f"no answer within {patience_s:g} s")
                return
            self._is_late = True
            left = _SECOND_LOOK_S
        self._watch_for(left)

    def _end(self, kind: type[Exception], text: str) -> None:
        if self._lost is not None:
            return
        self._lost, self.is_open = partial(kind, text), False
        if self._timer is not None:
            self._timer.cancel()
        trips, self._trips = self._trips, deque()
        for trip in trips:
            if not trip.done.done():
                trip.done.set_exception(self._lost())
        self.ended.set()
        self._transport.abort()
        self._connection._close()  # noqa: SLF001 - so that it does not warn
