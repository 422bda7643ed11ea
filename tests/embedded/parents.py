"""Processes that start an embedded server and then end in some way, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]

_PRELUDE = """
import json, os, signal, sys, threading
from rqueue.embedded import EmbeddedServer

def report(server, **more):
    guardian = server._leash._process.pid
    seen = {"server": server.pid, "guardian": guardian, "home": str(server.directory)}
    print(json.dumps(seen | more), flush=True)

def wait_to_be_ended():
    threading.Event().wait()
"""


class Seen(NamedTuple):
    """What a parent said of its server before it ended."""

    server: int
    guardian: int
    home: Path
    more: dict[str, Any]

    def nothing_left(self) -> bool:
        running = is_running(self.server) or is_running(self.guardian)
        return not running and not self.home.exists()


@contextmanager
def parent(program: str) -> Iterator[tuple[subprocess.Popen[str], Seen]]:
    """Run a program that starts a server and calls ``report``; end it at the latest afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            seen = Seen(said.pop("server"), said.pop("guardian"), Path(said.pop("home")), said)
            yield process, seen
        finally:
            process.kill()


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


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in time; it is looked at every few milliseconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
