"""The demo's worker and scheduler processes: started, watched, killed, ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rqueue.demo.failure import DemoFailed

_READY_SECONDS = 30.0
_END_SECONDS = 4.0
_TOLD_LINES = 15


class Member:
    """One process.

    Attributes:
        name: how it is called, and how its worker id begins.
        process: the process.
        log: what it said on its standard error.
        killed: we ended it; its end is no news.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.killed = False

    def await_ready(self) -> None:
        """Wait until it serves.

        Raises:
            DemoFailed: it does not.
        """
        said = self.process.stdout
        if said is None or not select.select([said], [], [], _READY_SECONDS)[0]:
            raise DemoFailed(f"{self.name} is not ready after {_READY_SECONDS:g} s{self._told()}")
        if not said.readline():
            self.process.wait()
            self.check()

    def check(self) -> None:
        """See that it lives.

        Raises:
            DemoFailed: it has died, and not by us.
        """
        status = self.process.poll()
        if status is None or self.killed:
            return
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        raise DemoFailed(f"{self.name} (pid {self.process.pid}) ended {how}{self._told()}")

    def freeze(self) -> None:
        """Stop it in its tracks, and return when every thread of it stands."""
        os.kill(self.process.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.check()

    def thaw(self) -> None:
        """Let a frozen one go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """``kill -9``: it can say nothing to nobody any more."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def _told(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_TOLD_LINES:]
        return "".join(f"\n  {line}" for line in lines)


class Crew:
    """All processes of one demo; none outlives the ``with``.

    Args:
        url: of their Redis.
        lease_s: of the workers.
        logs: a directory for what they say.
    """

    def __init__(self, url: str, lease_s: float, logs: Path) -> None:
        self._url = url
        self._lease_s = lease_s
        self._logs = logs
        self._members: list[Member] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for member in self._members:
            member.killed = True
            member.process.terminate()
        deadline = time.monotonic() + _END_SECONDS
        for member in self._members:
            try:
                member.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
            for pipe in (member.process.stdin, member.process.stdout):
                if pipe is not None:
                    pipe.close()

    def start(self, role: str, name: str) -> Member:
        """Start a ``worker`` or a ``scheduler``; it is not ready yet."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-P", "-m", "rqueue.demo.member", role, name, self._url,
                 str(self._lease_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())},
                start_new_session=True,  # the Ctrl-C of a terminal is for the demo to judge
            )  # fmt: skip
        member = Member(name, process, log)
        self._members.append(member)
        return member

    def check(self) -> None:
        """See that everyone lives.

        Raises:
            DemoFailed: one has died, and not by us.
        """
        for member in self._members:
            member.check()


def _import_path() -> list[str]:
    # The child's -P keeps the directory it is started in off its path: that may hold an ast.py.
    return [path or str(Path.cwd()) for path in sys.path]
