"""Who is compared, at which settings and why, and the environment that each of them runs in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent
HOME = ROOT / ".bench"
"""Environments of the peers; made when first needed."""


class Pool(NamedTuple):
    """Workers, and what they drain.

    Attributes:
        concurrency: of each.
        jobs: of a drain.
        workers: processes that are started.
    """

    concurrency: int
    jobs: int
    workers: int = 1


@dataclass(frozen=True)
class Peer:
    """A queue, or what is compared with it.

    Attributes:
        name: on the command line and in tables.
        adapter: its file in ``adapters/``.
        packages: what is installed for it; none = it runs in the environment of rqueue.
        concurrency: of its workers.
        drained: jobs of a drain: a second or two, once it is warm.
        sent: jobs of a bulk enqueue.
        longest: backlog that it is drained from: what it can be sent in a minute or so.
        threads: how it runs blocking tasks; None = it has no way of its own.
        processes: how it runs tasks that compute, on two processors.
        unheard: how it is quickest when nobody wants results, if in another way than else.
        imports: what its users import.
        why: its settings, with the reason.
        lacks: what it promises less than rqueue.
        can: what measures ask for: ``queue``, ``drain``, ``results``, ``later``, ``growth``, ....
    """

    name: str
    adapter: str
    packages: tuple[str, ...] = ()
    concurrency: int = 100
    drained: int = 4_000
    sent: int = 5_000
    longest: int = 200_000
    threads: Pool | None = None
    processes: Pool | None = None
    unheard: Pool | None = None
    imports: str = ""
    why: str = ""
    lacks: str = ""
    can: frozenset[str] = field(default_factory=frozenset)

    @property
    def abilities(self) -> frozenset[str]:
        """What it can do, its pools included."""
        pools = {"threads": self.threads, "processes": self.processes}
        return self.can | {kind for kind, pool in pools.items() if pool is not None}

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
        return [*self._interpreter(), str(HERE / "adapters" / self.adapter)]

    def program(self, source: str) -> list[str]:
        """What runs a few lines of its language, in ``folder``."""
        return [*self._interpreter(), "-e" if self.is_node else "-c", source]

    @property
    def folder(self) -> Path:
        """Where its packages are found."""
        return self.home if self.is_node else ROOT

    def _interpreter(self) -> list[str]:
        if self.is_node:
            return [node()]
        return [sys.executable if self.is_ours else str(self.home / "bin" / "python")]

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


HIREDIS = "hiredis==3.5.0"
REDIS = "redis==8.1.0"
UVLOOP = "uvloop==0.23.0"
LONGEST = 1_000_000
"""Jobs of the longest backlog."""
USUAL = frozenset({"queue", "drain", "results", "later"})

RQUEUE = Peer(
    "rqueue", "on_rqueue.py", drained=100_000, sent=60_000,
    why="defaults: 100 slots, lease 15 s; enqueue_many in thousands, as for bullmq: more at a time "
    "is memory that must be had first; hiredis and uvloop, as installed",
    can=USUAL | {"gather", "blocking", "growth"}, longest=LONGEST,
    threads=Pool(100, 10_000), processes=Pool(100, 1_000), imports="from rqueue import App, Worker",
)  # fmt: skip
LIMIT = Peer(
    "limit", "on_limit.py", drained=100_000,
    why="no framework: a raw connection, rqueue's own scripts, two batches of 100 at a time, "
    "and a task per job",
    lacks="everything but the record: no lease is renewed, nothing is retried or timed out",
    can=frozenset({"drain", "growth"}), longest=LONGEST,
)  # fmt: skip
RIVALS = (
    Peer(
        "bullmq", "on_bullmq.mjs", ("bullmq@6.7.0", "ioredis@5.11.1"), 32, drained=60_000,
        sent=40_000,
        why="concurrency 32; 8, 100 and 400 differ from it by noise; ioredis without "
        "autopipelining, with which 100 at once take half as long again",
        lacks="a stalled job comes back after 30 s; an enqueue that is sent again is a second job "
        "unless its id is chosen",
        can=USUAL | {"gather", "growth"}, longest=LONGEST, imports="require('bullmq')",
    ),
    Peer(
        "streaq", "on_streaq.py", ("streaq==7.2.0", UVLOOP), 32, drained=1_500, sent=10_000,
        why="32 jobs at once (8, 100 and 400 differ by noise); uvloop; enqueue_many in hundreds, "
        "which is quicker than in thousands",
        lacks="the job of a killed worker comes back after 60 s (idle_timeout); arguments are "
        "pickled, and their types not looked at when a job runs",
        can=USUAL | {"gather", "growth"}, imports="from streaq import Worker",
    ),
    Peer(
        "arq", "on_arq.py", ("arq==0.28.0", "redis==5.3.1", HIREDIS, UVLOOP), 8, drained=4_000,
        why="8 jobs at once (32, 100 and 400 differ by noise); uvloop; poll_delay 5 ms (0.5 s by "
        "default, which is quiet when idle, but slow); results looked for each millisecond",
        lacks="the job of a killed worker comes back after job_timeout and 10 s, 310 s in all; "
        "clients poll for results; a job that waited for a day expires; arguments are pickled, "
        "without types",
        can=USUAL | {"gather", "growth"},
        imports="from arq import create_pool, func; from arq.worker import Worker",
    ),
    Peer(
        "saq", "on_saq.py",
        ("saq[redis]==0.26.4", "typing_extensions==4.16.0", "redis==7.4.1", HIREDIS, UVLOOP),
        drained=4_000,
        why="100 jobs at once (8, 32 and 400 differ by noise); uvloop; results looked for each "
        "millisecond, for a notice that comes before a client listens is lost; the rest by default",
        lacks="the job of a killed worker is aborted, and not run again, unless it has more than "
        "the one try of the default; it is found by a sweep each minute; delayed jobs are due at "
        "whole seconds; a client that listens too late is not told of a result; no types",
        can=USUAL | {"gather", "growth"}, imports="from saq import Queue, Worker",
    ),
    Peer(
        "taskiq", "on_taskiq.py",
        ("taskiq==0.13.0", "taskiq-redis==1.2.4", REDIS, HIREDIS, UVLOOP), 32, drained=3_000,
        why="streams, for its lists lose the jobs of a killed worker; 32 jobs at once and as many "
        "prefetched (8, 100 and 400 differ by noise); uvloop; validate_params off; a scheduler "
        "beside the worker that looks for new schedules each second (once a minute by default); "
        "results looked for each millisecond",
        lacks="the job of a killed worker comes back after 10 minutes (idle_timeout); finished "
        "jobs stay in the stream for ever, or unread ones are dropped (maxlen); results stay for "
        "ever, and clients poll for them; two schedulers would send a delayed job twice",
        can=USUAL | {"gather"},  # thawed before 200,000 jobs it ran none within ten seconds
        imports="from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker",
    ),
    Peer(
        "dramatiq", "on_dramatiq.py", ("dramatiq[redis]==2.2.1", REDIS, HIREDIS), 16, drained=4_000,
        why="16 threads (8 and 32 differ by noise) with 64 jobs prefetched for each, which is "
        "a fifth quicker than the default of 2; worker_timeout 100 ms (1 s by default, which is "
        "slow when idle)",
        lacks="no typed arguments; results are apart from the job",
        can=USUAL | {"growth"}, threads=Pool(16, 4_000), processes=Pool(1, 1_000, 2),
        imports="import dramatiq; from dramatiq.brokers.redis import RedisBroker; "
        "from dramatiq.results.backends import RedisBackend",
    ),
    Peer(
        "celery", "on_celery.py", ("celery[redis]==5.7.0", REDIS, HIREDIS), 2, drained=1_500,
        sent=3_000,
        why="prefork, its default, with a process for each of two cores; without results 8 "
        "threads, which are quicker then, and a little slower with them (gevent is slow); 100 jobs "
        "prefetched, as it advises for short ones; no gossip, mingle or heartbeat, for no other "
        "worker needs them",
        lacks="a job is acknowledged before it runs: a killed worker loses what it was running, "
        "and what it had prefetched comes back after an hour (visibility_timeout); so do delayed "
        "jobs, which wait in the memory of a worker; no types",
        can=USUAL, threads=Pool(8, 1_500), processes=Pool(2, 1_000), unheard=Pool(8, 1_500),
        imports="from celery import Celery; Celery().tasks",
    ),
    Peer(
        "rq", "on_rq.py", ("rq==3.0.0", REDIS, HIREDIS), 1, drained=800, sent=10_000,
        why="SimpleWorker, which does not fork for each job and is five times as quick; its "
        "scheduler beside; enqueue_many; quiet; results are kept also where nobody wants them, for "
        "deleting them is slower",
        lacks="SimpleWorker has no process of its own for a job; the job of a killed worker is put "
        "with the failed ones, and not run again; one job "
        "at a time; delayed jobs are due at whole seconds, and begin up to one early; no types",
        can=USUAL | {"growth"}, threads=Pool(1, 800), processes=Pool(1, 1_000, 2),
        imports="from rq import Queue, SimpleWorker",
    ),
    Peer(
        "huey", "on_huey.py", ("huey==3.5.4", REDIS, HIREDIS), 4, drained=4_000, sent=10_000,
        why="4 threads (2, 8 and 16 are as quick, 400 collapse); notify_result where a client "
        "waits, so that it need not poll",
        lacks="a job is taken off its list before it runs: a killed worker loses it; results stay "
        "until they are read; no types",
        can=USUAL | {"growth"}, threads=Pool(4, 4_000), processes=Pool(2, 1_000),
        imports="from huey import RedisHuey",
    ),
)  # fmt: skip
PEERS = {one.name: one for one in (RQUEUE, LIMIT, *RIVALS)}


def producer_of(peer: Peer) -> Peer:
    """Who sends what a worker of this peer runs."""
    return RQUEUE if peer.name == LIMIT.name else peer
