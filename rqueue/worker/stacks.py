"""Where the code of this process is: its threads, and what its asyncio tasks wait for."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from rqueue.worker.attempt import ATTEMPT

_MOST_TASKS = 500
_DEEPEST = 50
"""Frames of each stack; with as many tasks all of it stays within a few megabytes."""

NameOf = Callable[["asyncio.Task[Any]"], tuple[str, str]]
"""Task and job of an asyncio task, or empty if it is no attempt."""


def stacks(loop: asyncio.AbstractEventLoop | None, name_of: NameOf) -> str:
    """The stack of every thread and of every asyncio task of a loop; any thread may ask.

    Code and its places only, no values: arguments may be secret.
    """
    return "\n".join([*_of_threads(), *(_of_tasks(loop, name_of) if loop is not None else ())])


def _of_threads() -> Iterator[str]:
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - documented in spite of its name
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is not None:
            yield f"Thread {thread.name}:\n{''.join(traceback.format_stack(frame, _DEEPEST))}"


def _of_tasks(loop: asyncio.AbstractEventLoop, name_of: NameOf) -> Iterator[str]:
    tasks = sorted(
        asyncio.all_tasks(loop), key=lambda one: (one.get_name() != ATTEMPT, one.get_name())
    )
    for task in tasks[:_MOST_TASKS]:
        name, job = name_of(task)
        told = f"{task.get_name()} task={name} job={job}" if job else task.get_name()
        yield f"Asyncio task {told}:\n{''.join(_chain(task.get_coro()))}"
    if len(tasks) > _MOST_TASKS:
        yield f"{len(tasks) - _MOST_TASKS} asyncio tasks more"


def _chain(awaited: Any) -> Iterator[str]:
    """What a coroutine waits for, and what that waits for, to the innermost."""
    for _ in range(_DEEPEST):
        frame: FrameType | None = getattr(awaited, "cr_frame", getattr(awaited, "gi_frame", None))
        if frame is None:
            return
        yield from traceback.format_stack(frame, 1)
        awaited = getattr(awaited, "cr_await", getattr(awaited, "gi_yieldfrom", None))
