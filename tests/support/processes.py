"""Worker processes of their own, to be stopped, frozen and killed; and whether a process runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.waiting import PATIENCE_S, within

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """A process that runs one worker over the tasks of ``tests/integration/fleet.py``.

    It ends when this one does: its standard input is then closed.
    """

    def __init__(self, url: str, namespace: str, **settings: Any) -> None:
        told = {"url": url, "namespace": namespace, **settings}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.fleet", json.dumps(told)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.said: list[dict[str, Any]] = []
        self._ear = Thread(target=self._listen, daemon=True)
        self._ear.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    def of(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """What it said, of one kind and with these values."""
        return [one for one in self.said if {"event": event, **fields}.items() <= one.items()]

    def ready(self) -> WorkerProcess:
        """Wait until it fetches."""
        within(PATIENCE_S, lambda: self.of("ready") or self.has_ended)
        assert not self.has_ended, f"the worker ended with {self._process.returncode}"
        return self

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        """Wait until it has ended; its exit status."""
        status = self._process.wait(PATIENCE_S)
        self._ear.join(PATIENCE_S)
        return status

    def close(self) -> None:
        if not self.has_ended:
            self.signal(signal.SIGCONT)
            self._process.kill()
        self._process.wait()
        self._ear.join(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Fleet:
    """The worker processes of one test."""

    def __init__(self, url: str, namespace: str) -> None:
        self._at = url, namespace
        self.workers: list[WorkerProcess] = []

    def start(self, **settings: Any) -> WorkerProcess:
        """One more; not waited for."""
        self.workers.append(WorkerProcess(*self._at, **settings))
        return self.workers[-1]

    def keep_alive(self, **settings: Any) -> None:
        """What a supervisor does: a new one if none is left."""
        if all(worker.has_ended for worker in self.workers):
            self.start(**settings)


@contextmanager
def fleet_of(url: str, namespace: str) -> Generator[Fleet]:
    """Worker processes that are killed at the end of the test."""
    fleet = Fleet(url, namespace)
    try:
        yield fleet
    finally:
        for worker in fleet.workers:
            worker.close()


def is_running(pid: int) -> bool:
    """Whether a process runs; one that nobody has collected yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # no /proc here, or gone since
        return not Path("/proc/self/stat").exists()
    return stat.rpartition(")")[2].split()[0] not in "ZX"
