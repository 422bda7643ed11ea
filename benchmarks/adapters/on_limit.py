"""The limit: no framework, only the Redis work that rqueue does for a job, and a task per job.

It takes the jobs that ``on_rqueue`` has sent, runs the very scripts that rqueue runs, and does
nothing else that a worker must: no lease is renewed, nothing is retried, timed out, checked or
stopped, and a lost connection is the end. Some batches are under way at a time on one connection:
while one runs, Redis records and reads others, so neither waits for the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import harness
import hiredis
import msgspec
from on_rqueue import Rqueue

from rqueue.clock import now_ms
from rqueue.config import GENERATED_ID_WINDOW_MS
from rqueue.store.calls.entries import fetch
from rqueue.store.calls.leases import register
from rqueue.store.keys import LANES, QueueKeys
from rqueue.store.scripts import FETCH, FINISH

with contextlib.suppress(ImportError):
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

BATCH = 100
BATCHES = 2
"""At a time: one runs while the other is with Redis."""
KEEP_MS = 3_600_000
IDLE_S = 0.01
"""Between two looks at an empty queue."""
KEYS = QueueKeys("bench", "default")
RECORD, HEAD = KEYS.jobs.encode(), ("", "bare", KEYS.wake, KEEP_MS, len(KEYS.jobs))
FIELDS = ("k", "b", "w", "r")
"""Of a record: task, begin, worker, result."""
encode = msgspec.msgpack.Encoder().encode


class Envelope(msgspec.Struct):
    """What of a call the bare loop reads."""

    task: str
    args: tuple[str]


class Wire(asyncio.Protocol):
    """A connection, and nothing around it."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=Ellipsis)
        self._replies: list[Any] = []
        self._trips: deque[tuple[int, asyncio.Future[list[Any]]]] = deque()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        for _, told in self._trips:
            told.set_exception(exc or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not ...:
            self._replies.append(reply)
            if len(self._replies) == self._trips[0][0]:
                self._trips.popleft()[1].set_result(self._replies)
                self._replies = []

    def trip(self, *commands: list[Any]) -> asyncio.Future[list[Any]]:
        """Send commands at once; their replies."""
        told: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._trips.append((len(commands), told))
        self._transport.write(b"".join(hiredis.pack_command(tuple(one)) for one in commands))
        return told


class Limit(Rqueue):
    """A bare loop."""

    def work(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        at = urlsplit(self.order.url)
        _, wire = await loop.create_connection(Wire, at.hostname, at.port)
        await wire.trip(register(KEYS, "bare", 1).words_with_source())
        await wire.trip(["SCRIPT", "LOAD", FETCH.source], ["SCRIPT", "LOAD", FINISH.source])
        ended = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        await asyncio.gather(*(self._batches(wire, ended) for _ in range(BATCHES)))

    async def _batches(self, wire: Wire, ended: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        looking = fetch(KEYS, "bare", BATCH, [(lane, BATCH) for lane in LANES]).words()
        decoder = msgspec.msgpack.Decoder(Envelope)
        finish: list[Any] = []
        jobs: list[Any] = []
        while not ended.is_set():
            *said, read = await wire.trip(*finish, looking)
            if said != ([[b"recorded"] * len(jobs)] if jobs else []):
                raise RuntimeError(f"not recorded: {said!r:.200}")
            if read[0] != b"ok":
                raise RuntimeError(f"not read: {read!r:.200}")
            jobs = [(LANES[place - 1], *entry) for place, found in read[1:] for entry in found]
            tasks = [loop.create_task(run(decoder.decode(fields[3]))) for _, _, fields in jobs]
            values = [await task for task in tasks]
            finish = [self._finishing(jobs, values)] if jobs else []
            if not jobs:
                await asyncio.sleep(IDLE_S)
        if finish:
            await wire.trip(*finish)

    def _finishing(self, jobs: list[Any], values: list[int]) -> list[Any]:
        """The command that records these jobs; those of a lane follow each other."""
        keys, args = [*KEYS.of_finish], [*HEAD]
        fields = FIELDS if self.order.results else FIELDS[:-1]
        keep_ms = KEEP_MS if self.order.results else GENERATED_ID_WINDOW_MS
        common = ""
        place = 0
        for (lane, entry, told), value in zip(jobs, values, strict=True):
            keys.append(RECORD + told[1])
            if lane != common:
                args += (lane, "complete", keep_ms, "", lane, 0, len(fields), *fields, 0)
                common, place = lane, len(args) - 1
            args[place] += 1
            args += (entry, "noop", now_ms(), "bare")
            if self.order.results:
                args.append(encode(value))
        return ["EVALSHA", FINISH.sha, len(keys), *keys, *args]


async def run(envelope: Envelope) -> int:
    """One job."""
    return harness.noop(envelope.args[0])


if __name__ == "__main__":
    harness.play(Limit)
