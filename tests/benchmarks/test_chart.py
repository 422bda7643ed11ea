from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.chart import draw, read
from benchmarks.report import Run, Sample

DRAINED = [
    Sample("drain", "rqueue", 0, {"jobs/s": 30_000.0}),
    Sample("drain", "rqueue", 1, {"jobs/s": 32_000.0}),
    Sample("drain", "limit", 0, {"jobs/s": 50_000.0}),
    Sample("drain", "huey", 0, {"jobs/s": 1_500.0}),
]
AWAITED = [
    Sample("latency", "rqueue", 0, {"start p50, ms": 0.51, "result p50, ms": 0.98}),
    Sample("latency", "huey", 0, {"start p50, ms": 0.42, "result p50, ms": 1.9}),
]


def run_of(*samples: Sample) -> Run:
    return Run("Redis 7.0.15", "3.11.7", "2026-11-26", "2 x Fast", [*samples])


def texts(file: Path) -> list[str]:
    return re.findall(r"<text [^>]*>([^<]*)</text>", file.read_text())


def test_the_best_stands_first_and_the_limit_has_no_bar(tmp_path: Path) -> None:
    draw(run_of(*DRAINED, *AWAITED), tmp_path / "chart.svg")

    assert texts(tmp_path / "chart.svg") == [
        *("more is better", "rqueue", "huey", "31,000", "1,500", "drain with results, jobs/s"),
        *("less is better", "huey", "rqueue", "0.42", "0.51", "start when idle, ms, median"),
        *("less is better", "rqueue", "huey", "0.98", "1.9", "result when idle, ms, median"),
        "rqueue beside its rivals: Redis 7.0.15, Python 3.11.7, 2026-11-26, medians",
    ]


def test_a_run_that_was_read_again_gives_the_same_picture(tmp_path: Path) -> None:
    run = run_of(*DRAINED)
    (tmp_path / "results.json").write_text(json.dumps(run.as_json()))

    draw(run, tmp_path / "first.svg")
    draw(read(tmp_path / "results.json"), tmp_path / "again.svg")

    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()
