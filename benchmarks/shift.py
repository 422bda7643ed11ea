"""A few busy minutes of a shop, watched by a real Prometheus; what the dashboard shows of them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.prometheus import Prometheus, Series
from benchmarks.shop import app, block, charge, report, send_mail, thumbnail
from rqueue.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parents[1]
LENGTH_S = 240
_STEP_S = 1.0
_WINDOW = "8s"
"""What Grafana makes of $__rate_interval: four scrapes at the least."""
_TICK_S = 0.1
_PATIENCE_S = 60.0


class Look(NamedTuple):
    """What was asked of Prometheus: seconds since the epoch.

    Attributes:
        begin: of the shift.
        end: of it.
        step_s: between two points.
        found: by expression, as it stands in the dashboard.
    """

    begin: float
    end: float
    step_s: float
    found: dict[str, Sequence[Series]]


class Process:
    """One of rqueue's, with a page of metrics."""

    def __init__(self, url: str, port: int, *words: str) -> None:
        self.port = port
        self._command = [sys.executable, "-m", "rqueue", *words, "--log-level", "error"]
        self._env = {**os.environ, "RQUEUE_URL": url, "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env)

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def end(self) -> None:
        """Twice told: jobs in hand go back at once."""
        if self._process is None:
            return
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGTERM):
            self.send(number)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def worked(expressions: Sequence[str]) -> Look:
    """Work through the shift, then ask for each expression over all of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedServer(tcp=True, config={"maxmemory": "32mb"}))
        app.use(url=server.url)
        stack.callback(app.close_sync)
        exporter, workers = _processes(server.url)
        for one in (exporter, *workers):
            stack.callback(one.end)
        prometheus = stack.enter_context(_watching(folder, exporter, workers))
        here = (exporter, workers[0], workers[2])
        for one in here:
            one.start()
        _wait_for(lambda: prometheus.value("sum(up)") == len(here))
        begin = time.time()
        _Shift(workers).work(begin)
        end = time.time()
        found = {one: prometheus.range(_filled(one), begin, end, _STEP_S) for one in expressions}
        return Look(begin, end, _STEP_S, found)


def _processes(url: str) -> tuple[Process, list[Process]]:
    ports = [_free_port() for _ in range(4)]
    told = ("--metrics-host", "127.0.0.1", "--metrics-errors", "--lease", "3s", "--grace", "3s")
    workers = [
        ("-q", "mail,default", "-c", "20", "--with-scheduler"),
        ("-q", "mail,default", "-c", "20", "--processes", "2", "--max-jobs", "600"),
        ("-q", "reports", "-c", "4"),
    ]
    exporter = Process(
        url, ports[0], "exporter", "--host", "127.0.0.1", "--port", str(ports[0]), "--hold", "20s"
    )
    return exporter, [
        Process(
            url, port, "worker", "benchmarks.shop:app", *told, *words, "--metrics-port", str(port)
        )
        for port, words in zip(ports[1:], workers, strict=True)
    ]


@contextmanager
def _watching(
    folder: Path, exporter: Process, workers: Sequence[Process]
) -> Generator[Prometheus, None, None]:
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("prometheus is not installed: apt-get install prometheus")
    jobs = {"rqueue-exporter": [exporter], "rqueue-workers": workers}
    scraped = [
        {
            "job_name": job,
            "static_configs": [{"targets": [f"127.0.0.1:{one.port}" for one in told]}],
        }
        for job, told in jobs.items()
    ]
    # A configuration is YAML, as JSON is.
    config = msgspec.json.encode(
        {"global": {"scrape_interval": "1s"}, "scrape_configs": scraped}
    ).decode()
    with Prometheus(program, folder, config, {}) as prometheus:
        yield prometheus


class _Shift:
    """What is sent, and what befalls those who work."""

    def __init__(self, workers: Sequence[Process]) -> None:
        self._first, self._second, self._third = workers
        self._owed = {"mail": 0.0, "charge": 0.0, "thumbnail": 0.0, "report": 0.0}

    def work(self, begin: float) -> None:
        """Until its end."""
        out_of_order = begin + 150
        events = self._events()
        while (now := time.time() - begin) < LENGTH_S:
            while events and events[0][0] <= now:
                events.pop(0)[1]()
            self._send(now, out_of_order)
            time.sleep(_TICK_S)

    def _events(self) -> list[tuple[float, Callable[[], object]]]:
        inspector, late = app.inspector_sync, send_mail.options(expires=0.2)
        return [
            (2, lambda: inspector.aim("mail", 2.0)),
            (2, lambda: inspector.aim("reports", 5.0)),
            (70, lambda: app.enqueue_many_sync([late.call() for _ in range(20)])),
            (75, self._second.start),
            (80, block.enqueue_sync),
            (110, lambda: app.remote("unheard_of").enqueue_sync()),
            (130, lambda: self._third.send(signal.SIGKILL)),
            (138, self._third.start),
            (170, lambda: self._first.send(signal.SIGSTOP)),
            (176, lambda: self._first.send(signal.SIGCONT)),
            (200, block.enqueue_sync),
        ]

    def _send(self, now: float, out_of_order: float) -> None:
        """As much as is owed by now; the connection is the shop's own."""
        rates = {
            "mail": 110.0 if 60 <= now < 85 else 25.0,
            "charge": 6.0,
            "thumbnail": 2.0,
            "report": 0.5,
        }
        calls = {
            "mail": send_mail.call,
            "charge": lambda: charge.call(out_of_order if 90 <= now < 150 else 0.0),
            "thumbnail": thumbnail.call,
            "report": report.call,
        }
        for name, rate in rates.items():
            self._owed[name] += rate * _TICK_S
            count = int(self._owed[name])
            self._owed[name] -= count
            if count:
                app.enqueue_many_sync([calls[name]() for _ in range(count)])


def _wait_for(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(f"exporter and workers were not scraped within {_PATIENCE_S:g} s")
        time.sleep(_TICK_S)


def _filled(expression: str) -> str:
    """As Grafana sends it with All for each variable."""
    for name, told in (("__rate_interval", _WINDOW), *((one, ".*") for one in _VARIABLES)):
        expression = expression.replace(f"${name}", told)
    return expression


_VARIABLES = ("namespace", "job", "queue", "task")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
