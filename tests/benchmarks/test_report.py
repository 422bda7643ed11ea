from __future__ import annotations

from benchmarks.peers import PEERS
from benchmarks.report import Run, Sample, report

SAMPLES = [
    Sample("drain", "rqueue", 0, {"jobs/s": 30_000.0, "CPU µs": 14.0}),
    Sample("drain", "rqueue", 1, {"jobs/s": 10_000.0, "CPU µs": 20.0}),
    Sample("drain", "rqueue", 2, {"jobs/s": 32_000.0, "CPU µs": 13.5}),
    Sample("drain", "huey", 0, {"jobs/s": 1_500.0}),
]


def test_the_medians_stand_beside_each_other_with_who_was_compared() -> None:
    run = Run("Redis 7.0.15", "3.11.7", "2026-11-26", "2 x Fast", SAMPLES, ["idle, rq: gone\nx"])
    ours, huey = PEERS["rqueue"], PEERS["huey"]

    assert report(run).splitlines() == [
        "Redis 7.0.15, Python 3.11.7; 2 x Fast; 2026-11-26; medians",
        "",
        "### drain",
        "",
        "| | jobs/s | CPU µs | rqueue is |",
        "|---|---|---|---|",
        "| rqueue | 30,000 | 14.00 |  |",
        "| huey | 1,500 | - | 20.00 x |",
        "",
        "### who was compared",
        "",
        "| | packages | settings, and why | what it promises less than rqueue |",
        "|---|---|---|---|",
        f"| rqueue | - | {ours.why} | - |",
        f"| huey | huey 3.5.4, redis 8.1.0, hiredis 3.5.0 | {huey.why} | {huey.lacks} |",
        "",
        "- failed: idle, rq: gone",
    ]
