"""F33, F25: how a queue fares beside one that is flooded, or that carries payloads of 10 MB.

Measured in turns, with the trouble and without, so that both see the same machine; who makes the
trouble is nice, so that what is measured is the wait for Redis and not for a core.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from statistics import median
from typing import NoReturn

import pytest

from rqueue import App, PartlyRefused, QueueShare, Worker, WorkerConfig
from tests.faults import ledger
from tests.support.owned import own
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import working

__all__ = ["own"]

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
CAP = 50
TURNS = 10
PROBES = 60
MOST = 2.0
"""Times as long as without the trouble."""
A_BATCH_MS = 1.0
"""What the trips of a probe wait for, each at most one batch of the other queue's."""
A_SLICE_MS = 5.0
"""What the slowest of a turn may wait for a core, for the trouble wants one as well."""
LARGE_P99_MS = 100.0
Turns = list[list[float]]


def declared(url: str) -> App:
    app = App(url, max_payload=16 * MIB)

    @app.task(queue="busy", result_ttl=0)
    async def length(text: str) -> int:
        return len(text)

    @app.task(queue="quiet")
    async def echo(number: int) -> int:
        return number

    return app


async def flood(app: App) -> NoReturn:
    """Send as much as goes, and more."""
    length = app.tasks.get("length")
    while True:
        with suppress(PartlyRefused):
            await app.enqueue_many(length.call("") for _ in range(30))


async def burden(app: App) -> NoReturn:
    """Send what is large, one after the other."""
    length, text = app.tasks.get("length"), "x" * 10 * MIB
    while True:
        await (await length.enqueue(text)).wait()


async def make(trouble: Callable[[App], Awaitable[NoReturn]], url: str) -> None:
    app = declared(url)
    worker = Worker(app, WorkerConfig(queues=(QueueShare("busy"),), concurrency=10))
    await asyncio.gather(worker.run(), trouble(app))


class Trouble:
    """A process that makes it, and can be held."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def hold(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def troubled(kind: str, url: str) -> Iterator[Trouble]:
    process = subprocess.Popen(
        [sys.executable, __file__, kind, url], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        yield Trouble(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def app(own: Server) -> AsyncIterator[App]:
    app = declared(own.url)
    yield app
    await app.close()


async def probe(app: App, count: int) -> list[float]:
    """Seconds from the enqueue of a job to its result."""
    took: list[float] = []
    for n in range(count):
        began = time.perf_counter()
        assert await (await app.tasks.get("echo").enqueue(n)).result(PATIENCE_S) == n
        took.append(time.perf_counter() - began)
    return took


async def in_turns(
    app: App, trouble: Trouble, is_at_work: Callable[[], Awaitable[bool]]
) -> tuple[Turns, Turns]:
    """Probes without the trouble, and with it."""
    quiet: Turns = []
    loud: Turns = []
    async with working(app, queues=(QueueShare("quiet"),)):
        for _ in range(TURNS):
            trouble.go_on()
            await eventually(is_at_work)
            loud.append(await probe(app, PROBES))
            trouble.hold()
            await probe(app, 1)
            quiet.append(await probe(app, PROBES))
    return quiet, loud


def note(trouble: str, quiet: Turns, loud: Turns) -> None:
    told = {
        "p50": p50(loud),
        "p50 without": p50(quiet),
        "p99": p99(loud),
        "p99 without": p99(quiet),
    }
    ledger.note(**{f"{trouble}: {name}, ms": round(value, 1) for name, value in told.items()})


def p50(turns: Turns) -> float:
    return 1000 * median(chain.from_iterable(turns))


def p99(turns: Turns) -> float:
    """Of each turn, and of these the median: one stall of the machine is one turn's."""
    return 1000 * median(sorted(one)[len(one) * 99 // 100] for one in turns)


async def test_a_flood_of_one_queue_leaves_another_its_speed(app: App, own: Server) -> None:
    await app.inspector.limit("busy", waiting=CAP)

    async def is_full() -> bool:
        (busy,) = await app.inspector.queues("busy")
        return sum(busy.ready.values()) + busy.running >= CAP

    with troubled("flood", own.url) as trouble:
        quiet, loud = await in_turns(app, trouble, is_full)

    note("flood", quiet, loud)
    assert p50(loud) < MOST * p50(quiet) + A_BATCH_MS
    assert p99(loud) < MOST * p99(quiet) + A_SLICE_MS


async def test_payloads_of_ten_megabytes_leave_another_queue_its_speed(
    app: App, own: Server
) -> None:
    done = 0

    async def is_under_way() -> bool:
        nonlocal done
        (busy,) = await app.inspector.queues("busy")
        before, done = done, busy.counters.get("complete", 0)
        return done > before

    with troubled("burden", own.url) as trouble:
        quiet, loud = await in_turns(app, trouble, is_under_way)

    note("10 MB", quiet, loud)
    assert p50(loud) < MOST * p50(quiet) + A_BATCH_MS
    assert p99(loud) < LARGE_P99_MS


if __name__ == "__main__":
    os.nice(19)
    asyncio.run(make({"flood": flood, "burden": burden}[sys.argv[1]], sys.argv[2]))
