"""What it costs to count a job for Prometheus and the history: one that succeeds, microseconds.

    python -m benchmarks.recorder

Times of a busy machine: the least of all rounds is nearest to what it takes.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from rqueue.config import Buckets
from rqueue.envelope import Envelope
from rqueue.job import Delivery
from rqueue.outcome import Complete
from rqueue.worker.recorder import Recorder
from rqueue.worker.settling import Ran
from rqueue.worker.unsettled import Ending

ROUNDS = 15
JOBS = 50_000


def measured() -> list[float]:
    """Microseconds a job, of each round."""
    recorder, now_ms = Recorder(Buckets(), lambda _: True), time.time_ns() // 1_000_000
    job = Delivery(
        queue="default", lane="normal", entry_id=f"{now_ms}-1", job_id="j", envelope=b"", worker="w"
    )
    ran = Ran(delivery=job, envelope=Envelope(task="work"), begun_ms=now_ms + 3)
    nobody: Any = None
    ending = Ending(nobody, ran, Complete(result=b""), 0.0123)
    found: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(JOBS):
            recorder.settled(ending, "recorded")
        found.append((time.perf_counter_ns() - began) / 1000 / JOBS)
    return found


if __name__ == "__main__":
    times = measured()
    print(f"{min(times):.2f} us a job at the least, {median(times):.2f} in the median")
