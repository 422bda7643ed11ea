"""What a soak makes of its counts."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.soak import Page, Sample, account, flaws, growth, total
from benchmarks.soaktasks import DEAD, FAILED, SUCCEEDED

LOG = [0 * 3 + FAILED, 0 * 3 + SUCCEEDED, 1 * 3 + DEAD, 2 * 3 + SUCCEEDED]
PAGES: Page = {
    ("rqueue_attempts_total", 'outcome="failed",task="shaky"'): 1,
    ("rqueue_attempts_total", 'outcome="failed",task="doomed"'): 1,
    ("rqueue_jobs_finished_total", 'outcome="succeeded"'): 2,
    ("rqueue_jobs_finished_total", 'outcome="dead"'): 1,
    ("rqueue_retries_total", ""): 1,
    ("rqueue_job_wait_seconds_count", ""): 4,
}
EXPORTED: Page = {
    ("rqueue_queue_enqueued_jobs_total", ""): 3,
    ("rqueue_queue_processed_jobs_total", 'outcome="succeeded"'): 2,
    ("rqueue_queue_processed_jobs_total", 'outcome="dead"'): 1,
}


def wrong(log: list[int]) -> set[str]:
    counts = account(3, log, PAGES, EXPORTED)
    return {name for name, told in counts.items() if len(set(told.values())) != 1}


def test_counts_that_are_the_same_everywhere_add_up() -> None:
    assert wrong(LOG) == set()


def test_a_job_that_ran_twice_or_never_does_not_add_up() -> None:
    assert wrong([*LOG, 2 * 3 + SUCCEEDED]) == {"ended once", "succeeded", "waits measured"}
    assert wrong(LOG[:-1]) == {"ended once", "succeeded", "waits measured"}


def test_labels_choose_what_is_added_up() -> None:
    assert total(PAGES, "rqueue_attempts_total", 'task="shaky"') == 1
    assert total(PAGES, "rqueue_attempts_total") == 2


def test_memory_that_doubles_grows_and_a_warm_up_does_not_count() -> None:
    def samples(*values: int) -> list[Sample]:
        return [Sample(0, 0, 0, value, 0, 0, 0, 0) for value in values]

    assert growth(samples(1, 1, 50, 50, 50, 50, 50, 50), "steady") == 1
    assert growth(samples(1, 1, 50, 50, 70, 70, 100, 100), "steady") == 2


def test_jobs_that_are_dead_are_no_growth() -> None:
    samples = [
        Sample(0, sent, 0, 0, 0, 1000 + 7 * sent // 1000, 0, 0) for sent in range(0, 80_000, 10_000)
    ]
    assert growth(samples, "server") > 1.2
    assert growth(samples, "server", dead_bytes=7) == 1


SOUND: dict[str, Any] = {
    "minutes": 3,
    "restarts": 2,
    "accounts": {"sent": {"producer": 5, "redis": 5}},
    "waited no longer than the target": 0.99,
    "growth": {"steady": 1.05, "server": 0.9},
}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, []),
        ({"restarts": 1}, ["workers were not restarted each minute"]),
        ({"accounts": {"sent": {"producer": 5, "redis": 4}}}, ["sent differs"]),
        (
            {"waited no longer than the target": 0.98},
            ["more than one job in a hundred waited longer than 1 s"],
        ),
        ({"growth": {"steady": 1.06, "server": 1}}, ["steady grows"]),
    ],
)
def test_a_soak_that_is_not_as_it_should_be_says_why(changed: Any, wrong: list[str]) -> None:
    assert flaws({**SOUND, **changed}) == wrong
