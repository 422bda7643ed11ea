"""The roles that a program of a peer plays, and how it tells what it did.

An adapter is a script that runs in the environment of its peer, so this needs nothing but the
standard library. It is told what to do by JSON in its first argument, and answers with a line of
JSON; a worker answers by its counters, which the benchmark reads while it works.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cProfile

AT_ONCE = 100
"""Concurrent awaits."""
PLAIN = "BENCHMARK_PLAIN"
"""Set in the environment: run on the loop of the standard library."""
CALLS = "calls.json"
"""What a profiled program leaves in its folder: calls by the file of the function."""
CORES = 2
"""That is counted on, whatever a machine has."""
WARM = 1_000
"""Jobs that are sent before it counts: engines that compile as they run need as many."""
_COUNTER_BYTES = 16
"""Two doubles: how many jobs a process has run, and when (monotonic) it began the last one."""

if PLAIN in os.environ:
    sys.modules["uvloop"] = None  # type: ignore[assignment] - so that importing it fails


@dataclass(frozen=True)
class Order:
    """What an adapter is told.

    Attributes:
        role: what to do, see ``play``.
        url: of the server.
        folder: where workers keep their counters.
        count: jobs to send.
        task: what ``fill`` sends.
        size: characters of the text that each job carries; rounds of ``spin``.
        concurrency: of a worker: tasks, threads or processes, as its peer has them.
        pool: ``threads`` or ``processes`` where tasks shall run in them; empty = as usual.
        results: whether results are kept.
        heard: whether a client waits for them.
        at: when jobs are due, seconds since the epoch.
        pause_s: between two jobs that are timed alone.
        profile: whether its calls are counted, and left in ``CALLS``.
    """

    role: str
    url: str
    folder: str
    count: int = 0
    task: str = "noop"
    size: int = 100
    concurrency: int = 1
    pool: str = ""
    results: bool = True
    heard: bool = False
    at: float = 0.0
    pause_s: float = 0.02
    profile: bool = False


class Adapter:
    """A peer as its own documentation uses it.

    Where ``is_async``, the first six are coroutine functions; otherwise plain ones. ``task`` is
    ``noop``, ``stamp``, ``late`` or ``spin``, see below.
    """

    is_async = False

    def __init__(self, order: Order) -> None:
        self.order = order

    def open(self) -> Any:
        """Connect."""

    def close(self) -> Any:
        """Hang up."""

    def send(self, task: str, argument: Any) -> Any:
        """Enqueue one job; its handle."""
        raise NotImplementedError

    def send_many(self, task: str, arguments: Sequence[Any]) -> Any:
        """Enqueue many jobs by the quickest way there is."""
        raise NotImplementedError

    def send_later(self, task: str, argument: Any, due: float, count: int) -> Any:
        """Enqueue jobs that are due at a time, seconds since the epoch."""
        raise NotImplementedError

    def result(self, handle: Any) -> Any:
        """What a job returned."""
        raise NotImplementedError

    def work(self) -> None:
        """Be a worker, and whatever else delayed jobs need, until SIGTERM."""
        raise NotImplementedError


# What the tasks of all peers do.


class _Counter:
    """Of this process, in a file that the benchmark looks at while it works."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        path = Path(folder) / f"{os.getpid()}.count"
        with path.open("w+b") as file:
            file.truncate(_COUNTER_BYTES)
            self._view = memoryview(mmap.mmap(file.fileno(), _COUNTER_BYTES)).cast("d")
        self._late = (Path(folder) / f"{os.getpid()}.late").open("ab", buffering=0)

    def tick(self) -> None:
        with self._lock:
            self._view[0] = next(self._numbers)
            self._view[1] = time.monotonic()

    def late(self, seconds: float) -> None:
        self._late.write(struct.pack("d", seconds))


_counter: _Counter | None = None
_making = threading.Lock()
FOLDER = "BENCHMARK_FOLDER"


def _forget() -> None:
    global _counter, _making
    _counter, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _count() -> _Counter:
    global _counter  # noqa: PLW0603 - one for each process, made when first needed
    with _making:
        if _counter is None:
            _counter = _Counter(os.environ[FOLDER])
    return _counter


def noop(text: str) -> int:
    """Do next to nothing."""
    (_counter or _count()).tick()
    return len(text)


def stamp(_sent: float) -> float:
    """Tell when it was begun, by a clock that all processes share."""
    return time.monotonic()


def late(due: float) -> int:
    """Note how late it is."""
    _count().late(time.time() - due)
    noop("")
    return 0


def spin(rounds: int) -> int:
    """Keep a processor busy."""
    total = 0
    for n in range(rounds):
        total = (total * 31 + n) % 1_000_003
    noop("")
    return total


TASKS = {one.__name__: one for one in (noop, stamp, late, spin)}


def as_coroutine(task: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    """The task for a peer that runs coroutines."""

    async def run(argument: Any) -> Any:
        return task(argument)

    return run


# What producers do.


def batches(arguments: Sequence[Any], size: int = AT_ONCE) -> Iterator[Sequence[Any]]:
    """For a peer whose bulk is quickest in moderate sizes."""
    return (arguments[start : start + size] for start in range(0, len(arguments), size))


async def in_groups(
    send: Callable[[Any], Awaitable[Any]], arguments: Sequence[Any], size: int = AT_ONCE
) -> None:
    """Send some jobs at a time, for an asynchronous peer that has no bulk."""
    for group in batches(arguments, size):
        await asyncio.gather(*map(send, group))


async def _settled(outcome: Any, *, is_async: bool) -> Any:
    return await outcome if is_async else outcome


async def _one(adapter: Adapter) -> dict[str, Any]:
    """Send one job after the other."""
    text = "x" * adapter.order.size
    send, is_async = adapter.send, adapter.is_async

    async def some(count: int) -> None:
        if is_async:
            for _ in range(count):
                await send("noop", text)
        else:
            for _ in range(count):
                send("noop", text)

    await some(WARM)
    return await _timed(some(adapter.order.count))


async def _blocking(adapter: Any) -> dict[str, Any]:
    """Send one job after the other from blocking code, with a peer that has both."""
    text = "x" * adapter.order.size

    async def some(count: int) -> None:
        for _ in range(count):
            adapter.send_blocking("noop", text)

    await some(WARM)
    return await _timed(some(adapter.order.count))


async def _gather(adapter: Adapter) -> dict[str, Any]:
    """Send a hundred jobs at a time, each with an await of its own."""
    text = "x" * adapter.order.size

    async def some(count: int) -> None:
        for _ in range(count // AT_ONCE):
            await asyncio.gather(*(adapter.send("noop", text) for _ in range(AT_ONCE)))

    await some(WARM)
    return await _timed(some(adapter.order.count))


async def _many(adapter: Adapter) -> dict[str, Any]:
    """Send all jobs the quickest way."""
    text = "x" * adapter.order.size

    async def some(count: int) -> None:
        sent = adapter.send_many("noop", [text] * count)
        await _settled(sent, is_async=adapter.is_async)

    await some(WARM)
    return await _timed(some(adapter.order.count))


async def _fill(adapter: Adapter) -> dict[str, Any]:
    """Send exactly so many jobs, untimed."""
    order = adapter.order
    argument = order.size if order.task == "spin" else "x" * order.size
    sent = adapter.send_many(order.task, [argument] * order.count)
    await _settled(sent, is_async=adapter.is_async)
    return {}


async def _later(adapter: Adapter) -> dict[str, Any]:
    """Send jobs that are due together, and are told when."""
    return await _delay(adapter, "late", adapter.order.at)


async def _delayed(adapter: Adapter) -> dict[str, Any]:
    """Send jobs that are due together, with a text for each."""
    return await _delay(adapter, "noop", "x" * adapter.order.size)


async def _delay(adapter: Adapter, task: str, argument: Any) -> dict[str, Any]:
    sent = adapter.send_later(task, argument, adapter.order.at, adapter.order.count)
    await _settled(sent, is_async=adapter.is_async)
    return {}


async def _latency(adapter: Adapter) -> dict[str, Any]:
    """Time jobs one by one: seconds to the start of the handler, and to the result in hand."""
    starts: list[float] = []
    results: list[float] = []
    for number in range(adapter.order.count + 10):
        await asyncio.sleep(adapter.order.pause_s)
        sent = time.monotonic()
        handle = await _settled(adapter.send("stamp", sent), is_async=adapter.is_async)
        begun = await _settled(adapter.result(handle), is_async=adapter.is_async)
        if number >= 10:
            starts.append(begun - sent)
            results.append(time.monotonic() - sent)
    return {"starts": starts, "results": results}


async def _timed(work: Any) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return {"seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


ROLES = {
    "one": _one,
    "blocking": _blocking,
    "gather": _gather,
    "many": _many,
    "fill": _fill,
    "later": _later,
    "delayed": _delayed,
    "latency": _latency,
}


def play(kind: type[Adapter]) -> None:
    """Do what the first argument says."""
    order = Order(**json.loads(sys.argv[1]))
    os.environ[FOLDER] = order.folder
    adapter = kind(order)
    if not order.profile:
        _play(adapter)
        return
    import cProfile

    profile = cProfile.Profile()
    profile.runcall(_play, adapter)
    (Path(order.folder) / CALLS).write_text(json.dumps(_by_file(profile)))


def _play(adapter: Adapter) -> None:
    if adapter.order.role == "work":
        adapter.work()
        return

    async def produce() -> dict[str, Any]:
        await _settled(adapter.open(), is_async=adapter.is_async)
        try:
            return await ROLES[adapter.order.role](adapter)
        finally:
            await _settled(adapter.close(), is_async=adapter.is_async)

    print(json.dumps(asyncio.run(produce())))


def _by_file(profile: cProfile.Profile) -> dict[str, int]:
    """Calls of functions by their file; those written in C have none, and are under ``""``."""
    found: dict[str, int] = {}
    for one in profile.getstats():
        file = "" if isinstance(one.code, str) else one.code.co_filename
        found[file] = found.get(file, 0) + one.callcount
    return found
