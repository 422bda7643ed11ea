"""A soak: half of full speed for half an hour, with a worker restarted every minute.

``python -m benchmarks.soak FOLDER`` leaves ``samples.json`` and ``soak.json`` there, and fails if
a number does not add up: every job ran to its end exactly once by a log that rqueue does not
write, and workers, Redis and that log count the same. It fails as well if memory grows, or if more
than one job in a hundred waits longer than its target.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.soaktasks import DEAD, FAILED, RESULT_TTL_S, SUCCEEDED, doomed, shaky, work
from rqueue import App, TaskCall
from rqueue.embedded import EmbeddedServer
from rqueue.store.calls.ages import server_load

DEAD_BYTES = 1663
"""What a dead job takes: ``python -m benchmarks.footprint``, Valkey 9.1.2."""
TARGET_S = 1.0
"""How long a job should wait at the most: 99 of 100 have to."""
_IN_TIME = 0.99
_FLAT = 1.05
"""Memory that grows by less, from the second quarter of the time to the last, is flat."""
_WARM_UP_S = RESULT_TTL_S + 10.0
_MEASURED_S = 20.0
_WAITING = 5000
_AT_ONCE = 2000
_TURN_S = 0.02
_SAMPLE_S = 10.0
_RESTART_S = 60.0
_PATIENCE_S = 120.0
_SHAKY, _DOOMED = 100, 1000
"""One job in so many."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")

Page = dict[tuple[str, str], float]
"""Samples of a metrics page, by name and labels."""


class Sample(msgspec.Struct):
    """How things stand at one moment.

    Attributes:
        at: seconds since the beginning.
        sent: jobs so far.
        ready: jobs that wait for a worker.
        steady: bytes of the worker that is never restarted.
        restarted: bytes of the two that are, together.
        server: bytes that Redis has in use.
        server_rss: bytes of its process.
        p99_s: of the waits since the sample before: the bound of the bucket that it is in.
    """

    at: float
    sent: int
    ready: int
    steady: int
    restarted: int
    server: int
    server_rss: int
    p99_s: float


class Process:
    """A command of rqueue, and its metrics."""

    def __init__(self, words: list[str], env: dict[str, str], log: Path) -> None:
        self._log = log
        self._file = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rqueue", *words],
            env=env, stdin=subprocess.DEVNULL, stdout=self._file, stderr=self._file,
        )  # fmt: skip
        self.url = ""

    def ready(self) -> Process:
        """Wait until it says where its metrics are."""
        found = until(lambda: re.search(r"http://\S+:\d+", self._log.read_text()))
        self.url = found[0]
        return self

    def page(self) -> Page:
        """What it tells Prometheus now."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:  # noqa: S310 - our own
            lines: list[str] = answer.read().decode().splitlines()
        found = (_SAMPLE.match(line) for line in lines)
        return {(one[1], one[2] or ""): float(one[3]) for one in found if one}

    def memory(self) -> int:
        """Bytes of its process."""
        return memory(self.process.pid)

    def children(self) -> list[int]:
        """Process ids of its children."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return list(map(int, listed.read_text().split()))

    def end(self) -> None:
        """Tell it to end, and wait for that."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(_PATIENCE_S)
        self._file.close()
        if code:
            raise RuntimeError(f"it ended with {code}: see {self._log}")


class Soak:
    """Workers, a scheduler and an exporter on a server of their own, and a producer: this process.

    Args:
        folder: where logs and figures go.
        url: of the server.
        pid: its process.
    """

    def __init__(self, folder: Path, url: str, pid: int) -> None:
        self.folder = folder
        self._server_pid = pid
        self.app = App(url)
        self._env = os.environ | {"RQUEUE_URL": url, "SOAK_LOG": str(folder / "runs")}
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        self.sent = 0
        self.samples: list[Sample] = []
        self._waits: Counter[float] = Counter()

    @contextmanager
    def staffed(self) -> Iterator[None]:
        """While workers, a scheduler and an exporter run."""
        served = ("--metrics-host", "127.0.0.1", "--metrics-port", "0", "--no-log-jobs")
        code = ("--app", "benchmarks.soaktasks:app")
        with ExitStack() as stack:
            start = self._start
            self.exporter = start(
                stack, "exporter", "exporter", "--host", "127.0.0.1", "--port", "0"
            )
            self.scheduler = start(stack, "scheduler", "scheduler", *code)
            self.steady = start(stack, "steady", "worker", *code, *served)
            self.restarted = start(stack, "restarted", "worker", *code, *served, "-p", "2")
            for one in (self.exporter, self.steady, self.restarted):
                one.ready()
            until(lambda: len(self.app.workers_sync.list()) == 3)
            yield

    def _start(self, stack: ExitStack, name: str, *words: str) -> Process:
        process = Process(list(words), self._env, self.folder / f"{name}.log")
        stack.callback(process.end)
        return process

    def full_speed(self) -> float:
        """Jobs a second that are sent, run and forgotten, while some always wait.

        Only when results expire as fast as they come is the server as busy as it will be.
        """
        self._send_all_the_time(_WARM_UP_S)
        before, began = self._ended(), time.monotonic()
        self._send_all_the_time(_MEASURED_S)
        return (self._ended() - before) / (time.monotonic() - began)

    def _send_all_the_time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.sent - self._ended() < _WAITING:
                self.send(_AT_ONCE)
            else:
                time.sleep(_TURN_S)

    def run(self, rate: float, seconds: float) -> None:
        """Send so many jobs a second for so long; restart a worker now and then."""
        self._p99()  # of what was before
        began = time.monotonic()
        first, sample_at, restart_at, turn = self.sent, 0.0, _RESTART_S, 0
        while (now := time.monotonic() - began) < seconds:
            due = first + int(rate * now) - self.sent
            self.send(max(0, min(due, _AT_ONCE)))
            if now >= sample_at:
                sample_at += _SAMPLE_S
                self._look(now)
            if now >= restart_at:
                restart_at += _RESTART_S
                turn += 1
                self._restart(turn)
            time.sleep(max(0.0, _TURN_S - (time.monotonic() - began - now)))

    def send(self, count: int) -> None:
        """The next jobs, numbered on."""
        for start in range(0, count, 500):
            numbers = range(self.sent, self.sent + min(500, count - start))
            self.app.enqueue_many_sync(map(_call, numbers))
            self.sent += len(numbers)

    def drain(self) -> None:
        """Wait until every job has ended."""
        until(lambda: self._ended() >= self.sent)

    def _ended(self) -> int:
        (queue,) = self.app.inspector_sync.queues("default")
        return sum(queue.counters.get(verb, 0) for verb in ("complete", "bury"))

    def _restart(self, turn: int) -> None:
        """Stop one of the two workers that a supervisor keeps; it starts another."""
        pids = self.restarted.children()
        for name, card in self.app.workers_sync.list().items():
            if card["pid"] == pids[turn % len(pids)]:
                self.app.workers_sync.stop(name)

    def _look(self, now: float) -> None:
        (queue,) = self.app.inspector_sync.queues("default")
        load = server_memory(self.app)
        self.samples.append(
            Sample(
                at=now,
                sent=self.sent,
                ready=sum(queue.ready.values()),
                steady=self.steady.memory(),
                restarted=sum(map(memory, self.restarted.children())),
                server=load,
                server_rss=memory(self._server_pid),
                p99_s=self._p99(),
            )
        )

    def _p99(self) -> float:
        """Of the waits since it was asked last."""
        buckets: Counter[float] = Counter()
        for (name, labels), count in self.pages().items():
            if name == "rqueue_job_wait_seconds_bucket":
                bound = labels.partition('le="')[2].partition('"')[0]
                buckets[float(bound)] += round(count)
        new, self._waits = buckets - self._waits, buckets
        most = max(new.values(), default=0.0)
        return min((bound for bound, count in new.items() if count >= 0.99 * most), default=0.0)

    def pages(self) -> Page:
        """What both workers have counted, added up."""
        found: Counter[tuple[str, str]] = Counter()
        for one in (self.steady, self.restarted):
            found.update(one.page())
        return dict(found)

    def runs(self) -> array[int]:
        """The log: every run of every process."""
        found = array("Q")
        for file in (self.folder / "runs").iterdir():
            found.frombytes(file.read_bytes())
        return found


def _call(number: int) -> TaskCall[Any]:
    if number % _SHAKY == 0:
        return shaky.call(number)
    return doomed.call(number) if number % _DOOMED == 1 else work.call(number)


def memory(pid: int) -> int:
    """Resident bytes of a process; 0 if it has just ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def server_memory(app: App) -> int:
    """Bytes that the server has in use, by its own count."""
    return app.connections.blocking().run(server_load()).used_bytes


def until(look: Callable[[], Any]) -> Any:
    """What is seen, once it is true."""
    end = time.monotonic() + _PATIENCE_S
    while not (seen := look()):
        if time.monotonic() > end:
            raise TimeoutError("it has not come to pass")
        time.sleep(_TURN_S)
    return seen


def total(page: Page, name: str, words: str = "") -> int:
    """The sum of all samples of a metric whose labels hold these words."""
    told = (value for (one, labels), value in page.items() if one == name and words in labels)
    return round(sum(told))


def account(
    sent: int, log: Sequence[int], pages: Page, exported: Page
) -> dict[str, dict[str, int]]:
    """Each count as the log, the workers and Redis tell it."""
    runs = Counter(run % 3 for run in log)
    ends = Counter(run // 3 for run in log if run % 3 != FAILED)
    attempts, finished = "rqueue_attempts_total", "rqueue_jobs_finished_total"
    processed = "rqueue_queue_processed_jobs_total"
    return {
        "sent": {"producer": sent, "redis": total(exported, "rqueue_queue_enqueued_jobs_total")},
        "ended once": {
            "log": sum(count == 1 for count in ends.values()),
            "sent": sent,
        },
        "succeeded": {
            "log": runs[SUCCEEDED],
            "workers": total(pages, finished, 'outcome="succeeded"'),
            "redis": total(exported, processed, 'outcome="succeeded"'),
        },
        "dead": {
            "log": runs[DEAD],
            "workers": total(pages, finished, 'outcome="dead"'),
            "redis": total(exported, processed, 'outcome="dead"'),
        },
        "attempts that failed": {
            "log": runs[FAILED] + runs[DEAD],
            "workers": total(pages, attempts, 'outcome="failed"'),
        },
        "retries": {"log": runs[FAILED], "workers": total(pages, "rqueue_retries_total")},
        "waits measured": {
            "log": runs.total(),
            "workers": total(pages, "rqueue_job_wait_seconds_count"),
        },
    }


def growth(samples: list[Sample], name: str, dead_bytes: int = 0) -> float:
    """The median of the last quarter to that of the second: 1 = flat.

    Args:
        samples: of the whole time.
        name: of the field.
        dead_bytes: what each dead job takes; they are meant to stay.
    """
    values = [getattr(one, name) - one.sent / _DOOMED * dead_bytes for one in samples]
    part = len(values) // 4
    return statistics.median(values[-part:]) / statistics.median(values[part : 2 * part])


def soaked(folder: Path, minutes: float) -> dict[str, Any]:
    """Soak; what came of it. The samples are left in the folder."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with EmbeddedServer(data_dir=folder / "data") as server:
        soak = Soak(folder, server.url, server.pid)
        soak.app.inspector_sync.aim("default", TARGET_S)
        with soak.staffed():
            full = soak.full_speed()
            soak.drain()
            before = soak.pages()
            soak.run(full / 2, minutes * 60)
            soak.drain()
            until(lambda: total(soak.pages(), "rqueue_jobs_finished_total") >= soak.sent)
            pages, exported = soak.pages(), soak.exporter.page()
        accounts = account(soak.sent, soak.runs(), pages, exported)
        soak.app.close_sync()
    (folder / "samples.json").write_bytes(msgspec.json.encode(soak.samples))
    judged, met = (
        total(pages, name) - total(before, name)
        for name in ("rqueue_job_slo_total", "rqueue_job_slo_met_total")
    )
    return {
        "full speed, jobs/s": round(full),
        "sent, jobs/s": round((soak.samples[-1].sent - soak.samples[0].sent) / soak.samples[-1].at),
        "minutes": minutes,
        "restarts": total(pages, "rqueue_worker_child_restarts_total"),
        "accounts": accounts,
        "waited no longer than the target": met / max(1, judged),
        "growth": grown(soak.samples),
    }


def grown(samples: list[Sample]) -> dict[str, float]:
    """How memory has grown; of the server but for the jobs in the dead set."""
    found = {name: growth(samples, name) for name in ("steady", "restarted")}
    found["server"] = growth(samples, "server", DEAD_BYTES)
    return {name: round(value, 3) for name, value in found.items()}


def flaws(told: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    found = [
        f"{name} differs"
        for name, counts in told["accounts"].items()
        if len({*counts.values()}) > 1
    ]
    found += [f"{name} grows" for name, grown in told["growth"].items() if grown > _FLAT]
    if told["waited no longer than the target"] < _IN_TIME:
        found.append(f"more than one job in a hundred waited longer than {TARGET_S:g} s")
    if told["restarts"] < int(told["minutes"]) - 1:
        found.append("workers were not restarted each minute")
    return found


def main() -> int:
    """Soak, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    wanted = parser.parse_args()
    told = soaked(wanted.folder, wanted.minutes)
    (wanted.folder / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    print((wanted.folder / "soak.json").read_text())
    found = flaws(told)
    if found:
        print(f"it is not as it should be: {'; '.join(found)}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
