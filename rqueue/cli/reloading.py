"""A worker that is started anew whenever a file changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rqueue.cli.output import note
from rqueue.supervisor import ChildProcess


class Reloader:
    """Keeps one child running with the present code.

    Args:
        arguments: of ``rqueue worker``.
        env: the child's environment.
        folders: watched with all that is in them; none = nothing is watched.
    """

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], folders: Sequence[str]
    ) -> None:
        self._arguments = arguments
        self._env = env
        self._folders = folders
        self._changes: asyncio.Queue[str] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._child: ChildProcess | None = None

    def stop(self) -> None:
        """End the child and ``run``; the second time, without waiting for jobs."""
        self._stopping.set()
        if self._child is not None:
            self._child.ask_to_stop()

    async def run(self) -> int:
        """Run until stopped; the exit code."""
        # The watch begins before the first start, so that no change is missed meanwhile.
        watching = asyncio.create_task(self._watch())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                await self._run_once(stopped)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        return 0

    async def _run_once(self, stopped: asyncio.Task[Any]) -> None:
        """Run the child until a file changes or we are stopped."""
        child = self._child = await ChildProcess.start(self._arguments, self._env)
        ended = asyncio.create_task(child.wait())
        changed = asyncio.create_task(self._changes.get())
        await asyncio.wait({ended, changed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and not stopped.done():
            hint = "it starts again when a file changes" if self._folders else "stop with Ctrl-C"
            note(f"The worker has ended; {hint}.")
            await asyncio.wait({changed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if changed.done() and not stopped.done():
            note(f"Changed: {changed.result()}. Starts anew.")
        changed.cancel()
        if not ended.done() and not self._stopping.is_set():
            child.ask_to_stop()
        await ended

    async def _watch(self) -> None:
        if not self._folders:
            return
        import watchfiles

        watch = cast("Any", watchfiles).awatch  # its own types are partly unknown
        async for batch in watch(*self._folders, watch_filter=watchfiles.PythonFilter()):
            names = sorted({Path(file).name for _, file in batch})
            self._changes.put_nowait(", ".join(names))
