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
        "Redis 7.0.15, Python 3.11.7; 2 x Fast; 2026-11-26; medians of all rounds",
        "",
        "### drain",
        "",
        "| | jobs/s | CPU µs | jobs/s: rqueue is |",
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


def test_peers_are_compared_by_the_number_that_counts_and_the_earliest_is_the_earliest() -> None:
    late = [
        Sample("due together", "rqueue", 0, {"min, ms": -1.0, "p50, ms": 40.0}),
        Sample("due together", "rqueue", 1, {"min, ms": 3.0, "p50, ms": 50.0}),
        Sample("due together", "rqueue", 2, {"min, ms": 4.0, "p50, ms": 60.0}),
        Sample("due together", "huey", 0, {"min, ms": 2.0, "p50, ms": 200.0}),
    ]
    run = Run("Redis 7.0.15", "3.11.7", "2026-11-26", samples=late, commit="abc1234")

    lines = report(run).splitlines()

    assert (
        lines[0] == "Redis 7.0.15, Python 3.11.7; 2026-11-26; commit abc1234; medians of all rounds"
    )
    assert lines[2:8] == [
        "### due together",
        "",
        "| | min, ms | p50, ms | p50, ms: rqueue is |",
        "|---|---|---|---|",
        "| rqueue | -1.00 | 50.00 |  |",
        "| huey | 2.00 | 200 | 0.20 x |",
    ]


def test_a_ratio_is_the_median_of_those_within_the_turns_that_both_took() -> None:
    drained = [(("rqueue", 30.0), ("huey", 15.0)), (("rqueue", 10.0), ("huey", 10.0))]
    samples = [
        Sample("drain", peer, turn, {"jobs/s": rate})
        for turn, peers in enumerate(drained)
        for peer, rate in peers
    ]
    samples.append(Sample("drain", "rqueue", 2, {"jobs/s": 90.0}))
    run = Run("Redis 7.0.15", "3.11.7", "2026-11-26", samples=samples)

    assert run.median("drain", "rqueue") == {"jobs/s": 30.0}
    assert run.ratio("drain", "huey", "jobs/s") == 1.5
    assert run.ratio("drain", "bullmq", "jobs/s") is None
    assert run.ratio("drain", "huey", "CPU µs") is None
