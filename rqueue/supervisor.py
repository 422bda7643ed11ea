"""The supervisor: keeps worker processes running, and fences those that die.

No task runs in it, so nothing that a task does can delay it or take it along.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Protocol

import msgspec

from rqueue.config import StoreConfig, WorkerConfig
from rqueue.errors import StoreError
from rqueue.events import Observers
from rqueue.store.keys import queue_keys
from rqueue.store.transport import Transport
from rqueue.worker.reaper import Reaper

logger = logging.getLogger("rqueue")

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 30.0
_CGROUPS = Path("/sys/fs/cgroup")
_FENCE_S = 1.0
_BURST_FAILURES = 3
"""Children of a burst that never worked, one after the other, before it is given up."""
READY = b"."
"""What a child says when it takes jobs: one that dies afterwards is started again at once."""


class Equipment(Protocol):
    """What fencing takes from an app.

    Attributes:
        store: how Redis is reached.
        observers: who hears of reaped workers.
    """

    store: StoreConfig
    observers: Observers


def fence(app: Equipment, config: WorkerConfig, prefix: str, cause: str) -> None:
    """Give up the leases of a worker that is known to be dead: nobody waits for them to run out.

    Args:
        app: whose Redis.
        config: the worker's queues and lease.
        prefix: how the worker's ids begin.
        cause: how it ended, for the history of the jobs it held.
    """
    # Without Redis nobody can be fenced; the leases end by themselves, and a stop must not wait.
    transport = Transport(msgspec.structs.replace(app.store, retry_s=_FENCE_S))
    try:
        for share in config.queues:
            keys = queue_keys(app.store.namespace, share.name)
            try:
                Reaper(transport, keys, config.lease, app.observers).fence(prefix, cause)
            except StoreError as error:
                logger.warning(
                    "cannot fence worker=%s queue=%s, its lease has to run out: %s",
                    prefix, share.name, error,
                )  # fmt: skip
    finally:
        transport.close()


class ChildProcess:
    """One child: its process group, and a socket: it says when it works, our end that we died.

    Attributes:
        name: how its worker ids begin; no other child's begin so.
        pid: its process id, also that of its group.
        has_worked: after its end: whether it had said that it works.
    """

    def __init__(self, process: Process, name: str, line: socket.socket) -> None:
        self._process = process
        self._line = line
        self._oom_kills = _oom_kills()
        self.has_worked = False
        self.name = name
        self.pid = process.pid

    @classmethod
    async def start(cls, arguments: Sequence[str], env: Mapping[str, str]) -> ChildProcess:
        """Start ``rqueue worker`` with these arguments.

        It gets a process group of its own, so that Ctrl-C in a terminal reaches us alone: else it
        would hear of it twice, and the second signal means to stop at once.
        """
        name = f"{socket.gethostname()[:32]}-{os.getpid()}-{token_hex(4)}"
        theirs, ours = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rqueue", "worker", *arguments,
                "--name", name, "--parent-fd", str(theirs.fileno()),
                stdin=DEVNULL, env=env, pass_fds=[theirs.fileno()], process_group=0,
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.settimeout(0)
        return cls(process, name, ours)

    def ask_to_stop(self) -> None:
        """Send SIGTERM: the first lets jobs end, the second gives them back."""
        if self._process.returncode is None:
            self._process.terminate()

    async def wait(self) -> int:
        """Wait for its end, and end what it leaves behind; the exit code, or minus the signal.

        A child of our child may still run a job that is about to run elsewhere.
        """
        try:
            code = await self._process.wait()
            with contextlib.suppress(OSError):
                self.has_worked = self._line.recv(1) == READY
            return code
        finally:
            self._line.close()
            self._kill_group()

    def end(self, code: int) -> str:
        """How it ended, in words; whether memory was short is asked of the kernel."""
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        if code != -signal.SIGKILL or self._oom_kills is None:
            return f"was ended by {name}"
        is_oom = _oom_kills() != self._oom_kills
        return f"was ended by {name}" + (" because memory ran out" if is_oom else "")

    def kill(self) -> None:
        """End it and its own children at once."""
        if self._process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left; macOS says it with EPERM


class Supervisor:
    """Keeps a number of children running until it is stopped.

    Args:
        arguments: of ``rqueue worker``, for each child.
        env: the children's environment.
        fence: called in a thread with the name of a child that died, and how it ended.
        is_burst: a child that ends by itself has done its work.
    """

    def __init__(
        self,
        arguments: Sequence[Sequence[str]],
        env: Mapping[str, str],
        fence: Callable[[str, str], None],
        *,
        is_burst: bool = False,
    ) -> None:
        self._arguments = arguments
        self._env = env
        self._fence = fence
        self._is_burst = is_burst
        self._alive: set[ChildProcess] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Run until stopped, or until every child has done its burst.

        Returns:
            0 if every child ended well at the last, else 1.
        """
        try:
            codes = await asyncio.gather(*(self._keep(one) for one in self._arguments))
        finally:
            for child in self._alive:
                child.kill()
        return max(codes, default=0)

    def stop(self) -> None:
        """Ask every child to stop; asked twice, they give their jobs back at once."""
        self._stopping.set()
        for child in self._alive:
            child.ask_to_stop()

    async def _keep(self, arguments: Sequence[str]) -> int:
        failures = 0
        while not self._stopping.is_set():
            try:
                child = await ChildProcess.start(arguments, self._env)
            except OSError as error:  # no memory, no process or no descriptor left: it passes
                failures += 1
                logger.error("cannot start a worker: %s", error)  # noqa: TRY400 - it says it all
                await self._pause(_pause_s(failures))
                continue
            code = await self._watch(child)
            if self._stopping.is_set() or (self._is_burst and code == 0):
                # Minus SIGTERM: it was told to stop before it could listen, so it held nothing.
                return 0 if code in (0, -signal.SIGTERM) else 1
            # One that worked and died has met a job that kills it, and its other jobs wait.
            failures = 0 if child.has_worked else failures + 1
            if self._is_burst and failures >= _BURST_FAILURES:
                return 1
            pause_s = _pause_s(failures)
            logger.error(
                "worker pid=%d %s; another one starts in %.1f s",
                child.pid,
                child.end(code),
                pause_s,
            )
            await self._pause(pause_s)
        return 0

    async def _watch(self, child: ChildProcess) -> int:
        """Wait for a child's end; fence it at once unless it ended well."""
        self._alive.add(child)
        if self._stopping.is_set():
            child.ask_to_stop()
        try:
            code = await child.wait()
        finally:
            self._alive.discard(child)
        if code != 0:
            try:
                cause = f"the worker process {child.end(code)}"
                await asyncio.to_thread(self._fence, f"{child.name}-", cause)
            except Exception:
                logger.exception("cannot fence worker=%s, its lease has to run out", child.name)
        return code

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _pause_s(failures: int) -> float:
    """Seconds before the next start; doubled with each failure in a row."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 30))


def _oom_kills() -> int | None:
    """How many processes of our control group the kernel has killed for want of memory.

    None where it does not say (another system, or the root group).
    """
    for file in _oom_counters():
        with contextlib.suppress(OSError):
            words = file.read_text().split()
            if "oom_kill" in words:
                return int(words[words.index("oom_kill") + 1])
    return None


def _oom_counters() -> Iterator[Path]:
    """Where it may say so: in our own group, or in what a container takes for the root of all."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                yield _CGROUPS / group.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                yield _CGROUPS / "memory" / group.lstrip("/") / "memory.oom_control"
    yield _CGROUPS / "memory.events"
    yield _CGROUPS / "memory" / "memory.oom_control"
