"""One child of a supervisor: a worker process, what it says, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from secrets import token_hex
from typing import ClassVar

import msgspec

from rqueue.clock import monotonic
from rqueue.supervisor.memory import oom_kills
from rqueue.worker import journal
from rqueue.worker.recycling import attempts
from rqueue.worker.reports import Report, Reports
from rqueue.worker.tally import Tally

logger = logging.getLogger("rqueue")

_PIECE = 65536
_PRINT_S = 2.0
"""How long a child may take to print its stacks, before it counts as one whose loop hangs."""


class ChildProcess:
    """One child: its process group, and a socket: it reports there, and its end shows that we died.

    Attributes:
        name: how its worker ids begin; no other child's begin so.
        pid: its process id, also that of its group.
        report: the last that it has said; None = nothing yet.
        counted: all that it has counted, once it has ended.
    """

    _oom_kills_told: ClassVar[int] = 0

    def __init__(self, process: Process, name: str, line: socket.socket, journal_fd: int) -> None:
        self._process = process
        self._line = line
        self._journal_fd = journal_fd
        self._reports = Reports()
        self._oom_kills = oom_kills()
        self.report: Report | None = None
        self.counted = Tally()
        self._heard_at = monotonic()
        self._news = asyncio.Event()
        self.name = name
        self.pid = process.pid
        asyncio.get_running_loop().add_reader(line, self._hear)

    @property
    def has_begun(self) -> bool:
        """Whether it has loaded the app and opened its resources, which may take its time."""
        return self.report is not None and not self.report.started

    @property
    def has_worked(self) -> bool:
        """Whether it took jobs: one that dies afterwards is started again at once."""
        return self.report is not None and self.report.has_joined

    @property
    def has_ended_jobs(self) -> bool:
        """Whether any attempt of its has ended."""
        return self.report is not None and attempts(self.report.readings.tally) > 0

    @property
    def silent_s(self) -> float:
        """Seconds since it said anything; a process that hangs says nothing more."""
        return monotonic() - self._heard_at

    @property
    def leaves_for(self) -> str:
        """Why it has ended by itself, if it had done enough."""
        return "" if self.report is None else self.report.leaves_for

    def _hear(self) -> bool:
        """Take what it says; whether there may be more."""
        try:
            data = self._line.recv(_PIECE)
        except OSError:  # nothing there
            return False
        try:
            for report in self._reports.feed(data):
                self.report = report
                self._heard_at = monotonic()
                self._news.set()
        except msgspec.MsgspecError:  # what it has counted must not bring the others down
            logger.exception("worker pid=%d: its report cannot be read; no more is heard", self.pid)
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._line)
        return bool(data)

    @classmethod
    async def start(cls, arguments: Sequence[str], env: Mapping[str, str]) -> ChildProcess:
        """Start ``rqueue worker`` with these arguments.

        It gets a process group of its own, so that Ctrl-C in a terminal reaches us alone: else it
        would hear of it twice, and the second signal means to stop at once.
        """
        name = f"{socket.gethostname()[:32]}-{os.getpid()}-{token_hex(4)}"
        with ExitStack() as undo:
            counts = journal.create()
            undo.callback(os.close, counts)
            theirs, ours = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "rqueue", "worker", *arguments, "--name", name,
                    "--parent-fd", str(theirs.fileno()), "--journal-fd", str(counts),
                    stdin=DEVNULL, env=env, pass_fds=[theirs.fileno(), counts], process_group=0,
                )  # fmt: skip
            undo.pop_all()
        ours.settimeout(0)
        return cls(process, name, ours, counts)

    def ask_to_stop(self) -> None:
        """Send SIGTERM: the first lets jobs end, the second gives them back."""
        if self._process.returncode is None:
            self._process.terminate()

    async def print_stacks(self) -> None:
        """Make it print where its code is, until it says that it has, or hangs.

        Before it works it is not asked: it would die of the signal.
        """
        if self.report is None or self._process.returncode is not None:
            return
        before = self.report.stacks
        logger.info("worker pid=%d: its stacks follow", self.pid)
        self._process.send_signal(signal.SIGUSR1)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PRINT_S):
                while self.report.stacks == before:
                    self._news.clear()
                    await self._news.wait()

    async def wait(self) -> int:
        """Wait for its end, and end what it leaves behind; the exit code, or minus the signal.

        A child of our child may still run a job that is about to run elsewhere.
        """
        try:
            code = await self._process.wait()
            while self._hear():
                pass
            self.counted = self._read_journal()
            return code
        finally:
            asyncio.get_running_loop().remove_reader(self._line)
            self._line.close()
            os.close(self._journal_fd)
            self._kill_group()

    def _read_journal(self) -> Tally:
        """What it wrote down to its end; where that cannot be read, what it last said."""
        try:
            found = journal.read(self._journal_fd)
        except Exception:  # whatever a process has written there must not bring the others down
            logger.exception("worker pid=%d: what it had counted cannot be read", self.pid)
            found = None
        return found or (Tally() if self.report is None else self.report.readings.tally)

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
        # Those of children that ended before are told of already.
        known, now = max(self._oom_kills, ChildProcess._oom_kills_told), oom_kills() or 0
        ChildProcess._oom_kills_told = now
        is_oom = now > known
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
