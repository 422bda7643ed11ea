"""Who is compared, at which settings and why, and the environment that each of them runs in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
HOME = ROOT / ".bench"
"""Environments of the peers; made when first needed."""


@dataclass(frozen=True)
class Peer:
    """A queue, or what is compared with it.

    Attributes:
        name: on the command line and in tables.
        adapter: its file in ``adapters/``.
        packages: what is installed for it; none = it runs in the environment of rqueue.
        concurrency: of its workers.
        drained: jobs of a drain: about two seconds' worth.
        sent: jobs of a bulk enqueue.
        why: its settings, with the reason.
        lacks: what it promises less than rqueue.
        can: what measures ask for: ``queue``, ``drain``, ``results``, ``later``, ....
    """

    name: str
    adapter: str
    packages: tuple[str, ...] = ()
    concurrency: int = 100
    drained: int = 4_000
    sent: int = 5_000
    why: str = ""
    lacks: str = ""
    can: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_ours(self) -> bool:
        """Whether it runs in the environment of rqueue."""
        return not self.packages

    @property
    def is_node(self) -> bool:
        """Whether it is a program of Node.js."""
        return self.adapter.endswith(".mjs")

    @property
    def home(self) -> Path:
        """Its environment."""
        return HOME / self.name

    def command(self) -> list[str]:
        """What runs its adapter."""
        script = str(HERE / "adapters" / self.adapter)
        if self.is_node:
            return [node(), script]
        return [sys.executable if self.is_ours else str(self.home / "bin" / "python"), script]

    def environment(self) -> dict[str, str]:
        """The variables it runs with."""
        more = {"BENCHMARK_HOME": str(self.home), "PYTHONPATH": str(ROOT) if self.is_ours else ""}
        return {**os.environ, **more, "PYTHONUNBUFFERED": "1"}

    def install(self) -> None:
        """Make its environment, unless it is there."""
        made = self.home / ".made"
        wanted = "\n".join(self.packages)
        if self.is_ours or (made.exists() and made.read_text() == wanted):
            return
        print(f"Installing {self.name}", file=sys.stderr)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        if self.is_node:
            _run(
                ["npm", "install", "--silent", "--no-fund", "--no-audit", *self.packages], self.home
            )
        else:
            _run([sys.executable, "-m", "venv", str(self.home)], ROOT)
            pip = [str(self.home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _run([*pip, "--disable-pip-version-check", *self.packages], ROOT)
        made.write_text(wanted)


def node() -> str:
    """Node.js."""
    found = shutil.which("node")
    if found is None:
        message = "BullMQ needs Node.js 20 or newer on the PATH, with npm; or leave it out: RIVALS="
        raise SystemExit(message)
    return found


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)


USUAL = frozenset({"queue", "drain", "results", "later"})

RQUEUE = Peer(
    "rqueue", "on_rqueue.py", drained=40_000, sent=20_000,
    why="defaults: 100 slots, lease 15 s; hiredis and uvloop, as installed",
    can=USUAL | {"gather", "blocking", "processes"},
)  # fmt: skip
LIMIT = Peer(
    "limit", "on_limit.py", drained=60_000, sent=20_000,
    why="no framework: a raw connection, rqueue's own scripts in batches of 100, a task per job",
    lacks="everything but the record: no lease is renewed, nothing is retried or timed out",
    can=frozenset({"drain"}),
)  # fmt: skip
RIVALS = (
    Peer(
        "bullmq", "on_bullmq.mjs", ("bullmq@6", "ioredis@5"), 32, drained=12_000, sent=10_000,
        why="concurrency 32, the best of 8, 32, 100 and 400",
        lacks="a stalled job comes back after 30 s; an enqueue that is sent again is a second job "
        "unless its id is chosen",
        can=USUAL | {"gather"},
    ),
    Peer(
        "dramatiq", "on_dramatiq.py", ("dramatiq[redis]==2.2.1", "hiredis"), 16, drained=4_000,
        why="16 threads, worker_timeout 100 ms (1 s by default, which is slow when idle)",
        lacks="no typed arguments; results are apart from the job",
        can=USUAL,
    ),
)  # fmt: skip
PEERS = {one.name: one for one in (RQUEUE, LIMIT, *RIVALS)}
