"""What a benchmark runs on: one server for all, programs of the peers, and what they cost."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from redis import Redis

from benchmarks.adapters.harness import CALLS, PLAIN, Order
from benchmarks.peers import Peer
from rqueue.embedded import EmbeddedServer

_LOOK_S = 0.01
_PATIENCE_S = 180.0
_END_S = 10.0
_REST_S = 0.3
_FROM_A_CLIENT = re.compile(rb"^\+\d+\.\d+ \[\d+ (?!lua)", re.MULTILINE)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What Redis has done so far.

    Attributes:
        cpu_s: seconds of its processors.
        commands: those within scripts included.
        reads: of its sockets; 0 before Redis 6.
        bytes_in: from its sockets.
        bytes_out: to them.
    """

    cpu_s: float
    commands: int
    reads: int
    bytes_in: int
    bytes_out: int

    def __sub__(self, other: Cost) -> Cost:
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return Cost(*(now - then for now, then in zip(mine, theirs, strict=True)))


class Worker:
    """A worker process of a peer, with its children."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder

    @property
    def ran(self) -> int:
        """Jobs it has run."""
        return round(sum(count for count, _ in self._counters()))

    @property
    def last(self) -> float:
        """When it began the last one; monotonic."""
        return max((at for _, at in self._counters()), default=0.0)

    def calls(self) -> dict[str, int]:
        """What a profiled one has called, by the file of the function; it has ended."""
        return _calls(self._folder)

    def lateness(self) -> list[float]:
        """Seconds after they were due at which jobs began."""
        data = b"".join(file.read_bytes() for file in self._folder.glob("*.late"))
        return [value for (value,) in struct.iter_unpack("d", data)]

    def cpu_s(self) -> float:
        """Seconds of processors that it and its children have used."""
        return sum(sum(map(int, stat[11:15])) for _, stat in self._family()) / _TICKS

    def memory(self) -> int:
        """Bytes that it holds, and its children beyond what they share with it."""
        told = {folder.name: _rollup(folder) for folder, _ in self._family()}
        own = told.pop(str(self._process.pid), {})
        children = sum(one["Private_Clean"] + one["Private_Dirty"] for one in told.values() if one)
        return (own.get("Rss", 0) + children) * 1024

    def freeze(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Tell it to end, and wait for it; kill what is left of it."""
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def until_ran(self, count: int) -> None:
        """Wait until it has run so many."""
        until(lambda: self.ran >= count, lambda: f"{self.ran} of {count} were run")

    def _counters(self) -> list[tuple[float, float]]:
        read = (file.read_bytes() for file in self._folder.glob("*.count"))
        return [struct.unpack("2d", data) for data in read if len(data) == 16]

    def _family(self) -> Iterator[tuple[Path, list[str]]]:
        """The processes of its session."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(stat[3]) == self._process.pid:
                yield folder, stat


def _installed() -> str | None:
    """The system's ``redis-server``: an environment for tests has one too, which is older."""
    own = (Path(sys.prefix) / "bin").resolve()
    folders = [folder for folder in os.get_exec_path() if Path(folder).resolve() != own]
    return shutil.which("redis-server", path=os.pathsep.join(folders))


def _calls(folder: Path) -> dict[str, int]:
    file = folder / CALLS
    return json.loads(file.read_text()) if file.exists() else {}


def _rollup(folder: Path) -> dict[str, int]:
    """The memory of a process, in kB; nothing when it has ended."""
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name.rstrip(":"): int(value) for name, value, *_ in map(str.split, lines)}


class Monitor:
    """Counts what clients send: commands, and not those of scripts, by ``MONITOR``."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(b"MONITOR\r\n")
        self._heard = bytearray(self._socket.recv(5))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def commands(self) -> int:
        """How many; after the end."""
        return len(_FROM_A_CLIENT.findall(self._heard))

    @property
    def heard(self) -> int:
        """Bytes that it was told."""
        return len(self._heard)

    def end(self) -> None:
        """Stop, after what was sent until now."""
        self._socket.sendall(b"QUIT\r\n")
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while data := self._socket.recv(1 << 20):
            self._heard += data


class Stand:
    """One server, and the programs of the peers on it.

    Args:
        flavour: ``redis`` = the ``redis-server`` on the PATH, ``valkey`` = the packaged one.
        plain: whether programs run on the loop of the standard library, whatever is installed.
    """

    def __init__(self, flavour: str, *, plain: bool = False) -> None:
        self._more = {PLAIN: "1"} if plain else {}
        binary = _installed() if flavour == "redis" else None
        if flavour == "redis" and binary is None:
            raise SystemExit("no redis-server is on the PATH; SERVER=valkey takes the packaged one")
        config = {"save": "", "appendonly": "no"}
        self._server = EmbeddedServer(binary=binary, tcp=True, config=config)

    def __enter__(self) -> Self:
        self._server.__enter__()
        self.redis = Redis.from_url(self._server.url)
        self.redis.ping()
        return self

    def __exit__(self, *details: object) -> None:
        self.redis.close()
        self._server.stop()

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._server.url

    @property
    def version(self) -> str:
        """Of the server."""
        told: Any = self.redis.info("server")
        name = "Valkey" if "valkey_version" in told else "Redis"
        return f"{name} {told.get('valkey_version', told['redis_version'])}"

    @property
    def machine(self) -> str:
        """How many processors, and of which model where the system tells."""
        info = Path("/proc/cpuinfo")
        found = info.exists() and re.search(
            r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE
        )
        model = found[1] if found else platform.machine()
        return f"{os.cpu_count()} x {model}"

    def clear(self) -> None:
        """Forget all data."""
        self.redis.flushall()

    def cost(self) -> Cost:
        """What the server has done until now."""
        told: Any = self.redis.info("all")
        return Cost(
            told["used_cpu_user"] + told["used_cpu_sys"],
            told["total_commands_processed"],
            told.get("total_reads_processed", 0),
            told["total_net_input_bytes"],
            told["total_net_output_bytes"],
        )

    @contextmanager
    def monitored(self) -> Generator[Monitor]:
        """Whatever clients send meanwhile."""
        monitor = Monitor(self._server.port)
        try:
            yield monitor
        finally:
            monitor.end()

    def bytes(self) -> int:
        """What is allocated once nobody else is connected, whose buffers would be counted."""
        until = time.monotonic() + _END_S
        while self._told("clients")["connected_clients"] > 1 and time.monotonic() < until:
            time.sleep(_LOOK_S)
        return self._told("memory")["used_memory"]

    def empty(self, peer: Peer) -> int:
        """What is allocated when this peer has used the server, and all its data are gone."""
        self.produce(peer, "fill", count=1)
        self.clear()
        return self.bytes()

    def _told(self, section: str) -> Any:
        return self.redis.info(section)

    def usage(self) -> int:
        """What the keys take, one by one, and the table of when they expire: hardly varies."""
        told: Any = self.redis.memory_stats()
        tables = (one for name, one in told.items() if re.fullmatch(r"db\.\d+", name))
        expiries = sum(one["overhead.hashtable.expires"] for one in tables)
        pipeline: Any = self.redis.pipeline(transaction=False)
        for key in self.redis.scan_iter(count=1000):
            pipeline.memory_usage(key, samples=0)
        return expiries + sum(pipeline.execute())

    def produce(self, peer: Peer, role: str, **more: Any) -> dict[str, Any]:
        """Run a producer to its end; what it tells."""
        env = {**peer.environment(), **self._more}
        with tempfile.TemporaryDirectory() as folder:
            command = self._command(peer, role, Path(folder), more)
            ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            calls = _calls(Path(folder)) if more.get("profile") else {}
        if ran.returncode:
            raise RuntimeError(f"{peer.name} {role} failed: {ran.stderr[-2000:]}")
        return {**json.loads(ran.stdout.strip().splitlines()[-1]), "calls": calls}

    @contextmanager
    def worker(self, peer: Peer, **more: Any) -> Generator[Worker]:
        """A worker that runs; it has run a job of each kind when this begins."""
        with tempfile.TemporaryDirectory() as folder:
            order = {"concurrency": peer.concurrency, **more}
            env = {**peer.environment(), **self._more}
            command = self._command(peer, "work", Path(folder), order)
            with (Path(folder) / "log").open("wb") as log:
                process = subprocess.Popen(
                    command, env=env, stdout=log, stderr=log, start_new_session=True
                )
            worker = Worker(process, Path(folder))
            try:
                yield worker
            except TimeoutError as error:
                tail = (Path(folder) / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{peer.name}: {error}\n{tail}") from error
            finally:
                worker.end()

    def _command(self, peer: Peer, role: str, folder: Path, more: dict[str, Any]) -> list[str]:
        order = Order(role=role, url=self._server.url, folder=str(folder), **more)
        return [*peer.command(), json.dumps(dataclasses.asdict(order))]


def children_cpu_s() -> float:
    """Seconds of processors that programs took which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rest() -> None:
    """Let what is under way come to its end."""
    time.sleep(_REST_S)


def until(look: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + _PATIENCE_S
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {_PATIENCE_S:g} s {what()}")
        time.sleep(_LOOK_S)
