"""Processes that start an embedded server and then end in some way, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.processes import is_running

ROOT = Path(__file__).parents[2]

_PRELUDE = """
import json, os, signal, sys, threading
from rqueue.embedded import EmbeddedServer

# A shell starts what runs in the background with this signal ignored, and we inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

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
