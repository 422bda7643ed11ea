"""rqueue's commands as a user runs them: in a folder with tasks, as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.waiting import within

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
"""For whole processes: importing all they need takes seconds on a busy machine."""

TASKS = """
import asyncio, os, sys, time
from rqueue import App, Context, Retry

app = App()

@app.task
async def add(a: int, b: int = 2) -> int:
    return a + b

@app.task
async def echo(value: str) -> str:
    return value

@app.task(retry=Retry(max_attempts=1))
async def bad(text: str = "no") -> None:
    raise ValueError(text)

@app.task
async def until_killed(ctx: Context) -> str:
    if ctx.crashes:
        return "recovered"
    print("BEGUN", ctx.worker, flush=True)
    await asyncio.Event().wait()
    return "never"

@app.task(queue="mail")
async def sorted_mail() -> None: ...

@app.task
async def until_told() -> str:
    print("BEGUN", flush=True)
    while not os.path.exists("go"):
        await asyncio.sleep(0.005)
    return "done"

@app.task
def deaf() -> None:
    print("BEGUN", flush=True)
    time.sleep(60)
"""


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


class Running:
    """A command that runs, and the lines it has written so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def says(self, *words: str, after: int = 0, seconds: float = PATIENCE_S) -> str:
        """Wait for a line with these words; that line."""

        def look() -> str:
            found = (line for line in self.lines[after:] if all(word in line for word in words))
            return next(found, "")

        try:
            return within(seconds, look)
        except AssertionError:
            raise AssertionError(f"{words} not in:\n" + "\n".join(self.lines)) from None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends(self, seconds: float = PATIENCE_S) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.lines.extend(line.rstrip("\n") for line in lines)


@dataclass(frozen=True)
class Project:
    """A folder with an app, and the Redis it uses."""

    folder: Path
    url: str
    namespace: str

    def run(self, *words: str, env: dict[str, str] | None = None) -> Ran:
        """Run a command to its end."""
        return self.program(*_command(words), env=env)

    def program(self, *words: str, env: dict[str, str] | None = None) -> Ran:
        """Run any program here to its end."""
        ran = subprocess.run(
            words, cwd=self.folder, env=self._env(env), capture_output=True, text=True,
            check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    @contextmanager
    def start(self, *words: str, env: dict[str, str] | None = None) -> Iterator[Running]:
        """Run a command, and end it with the block."""
        process = subprocess.Popen(
            _command(words), cwd=self.folder, env=self._env(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        running = Running(process)
        try:
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
            running.ends()

    def _env(self, more: dict[str, str] | None) -> dict[str, str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RQUEUE_", "REDIS_")) or name == "RQUEUE_VALKEY_SERVER"
        }
        target = {"RQUEUE_URL": self.url, "RQUEUE_NAMESPACE": self.namespace}
        return {**clean, "PYTHONPATH": str(ROOT), **target, **(more or {})}


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "rqueue", *words]
