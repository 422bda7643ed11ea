"""What it costs to count a job for Prometheus and the history: one that succeeds, microseconds.

    python -m benchmarks.recorder

Times of a busy machine: the least of all rounds is nearest to what it takes. A child of a
supervisor writes down what has changed as well, once for each batch of outcomes.
"""

from __future__ import annotations

import os
import time
from statistics import median
from typing import Any

from rqueue.config import Buckets
from rqueue.envelope import Envelope
from rqueue.job import Delivery
from rqueue.outcome import Complete
from rqueue.worker import journal, trips
from rqueue.worker.recorder import Recorder
from rqueue.worker.settling import Ran
from rqueue.worker.unsettled import Ending

ROUNDS = 15
JOBS = 50_000


def measured(batch: int, *, is_child: bool) -> list[float]:
    """Microseconds a job, of each round."""
    recorder, ending = Recorder(Buckets(), lambda _: True), _ending()
    trips.of_loop(recorder.tally)
    descriptor = journal.create()
    if is_child:
        recorder.journal = journal.Journal(os.dup(descriptor))
    found: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(JOBS // batch):
            for _ in range(batch):
                recorder.settled(ending, "recorded")
            recorder.write_down()
        found.append((time.perf_counter_ns() - began) / 1000 / JOBS)
    os.close(descriptor)
    return found


def _ending() -> Ending:
    now_ms = time.time_ns() // 1_000_000
    job = Delivery(
        queue="default", lane="normal", entry_id=f"{now_ms}-1", job_id="j", envelope=b"", worker="w"
    )
    ran = Ran(delivery=job, envelope=Envelope(task="work"), begun_ms=now_ms + 3)
    nobody: Any = None
    return Ending(nobody, ran, Complete(result=b""), 0.0123)


if __name__ == "__main__":
    for name, batch, is_child in (
        ("counted", 100, False),
        ("and written down, a hundred at a time", 100, True),
        ("and written down, one at a time", 1, True),
    ):
        times = measured(batch, is_child=is_child)
        print(f"{min(times):.2f} us a job at the least, {median(times):.2f} in the median: {name}")
