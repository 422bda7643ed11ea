"""The life of a long-running process: its event loop, its signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, NoReturn

import click

from rqueue.worker.stacks import stacks

logger = logging.getLogger("rqueue")

_LAST_WAIT_S = 3.0
"""How long threads and exit handlers may go on after all is said and done."""


def serve(main: Coroutine[Any, Any, int], *, wants_uvloop: bool = False) -> NoReturn:
    """Run to the end in an event loop, and end the process with its exit code."""
    with asyncio.Runner(loop_factory=_loop_factory(wants_uvloop=wants_uvloop)) as runner:
        code = 1
        try:
            code = runner.run(main)
        finally:
            # Closing the loop, and Python's own end, join threads: a task that ignores its
            # cancellation would keep a worker that has left its queues alive for ever.
            threading.Thread(target=_end_anyway, args=[code], daemon=True).start()
    sys.exit(code)


def on_signals(stop: Callable[[], None], hint: str) -> None:
    """Stop at SIGTERM or SIGINT, once more at the next, and end at once at the third."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def react(number: int) -> None:
        seen.append(number)
        if len(seen) > 2:
            os._exit(128 + number)
        name = signal.Signals(number).name
        logger.info("%s: %s", name, hint if len(seen) == 1 else "stops now")
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, react, number)


def on_stacks_signal(more: Callable[[], object] | None = None) -> None:
    """Print the stacks of all threads at SIGUSR1, also while the event loop is blocked.

    Args:
        more: called behind it in the event loop, when that turns; by default its tasks are told.
    """
    if not hasattr(signal, "SIGUSR1"):
        return
    loop = asyncio.get_running_loop()
    tell = more or (lambda: click.echo(stacks(loop, lambda _: ("", "")), err=True))

    def react(*_: object) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed, and all is over but the last words
            loop.call_soon_threadsafe(tell)

    # Not the loop's own handlers: where they are taken away, the signal ends the process.
    signal.signal(signal.SIGUSR1, react)
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=True)


def on_hangup(descriptor: int, stop: Callable[[], None]) -> None:
    """Stop when the other end of a pipe is closed: when the parent has died."""
    loop = asyncio.get_running_loop()
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword

    def react() -> None:
        loop.remove_reader(descriptor)
        logger.warning("the supervisor has died; stops")
        stop()

    loop.add_reader(descriptor, react)


def _loop_factory(*, wants_uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not wants_uvloop:
        return None
    try:
        uvloop: Any = import_module("uvloop")
    except ImportError:
        return None
    return uvloop.new_event_loop


def _end_anyway(code: int) -> None:
    threading.Event().wait(_LAST_WAIT_S)
    logger.warning("ends although a thread still runs; its job was given back")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
