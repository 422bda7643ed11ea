"""``rqueue stats``: what became of jobs lately."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rqueue.app import App
from rqueue.cli.stats import bars, brief
from rqueue.config import WorkerConfig
from rqueue.retry import Retry
from rqueue.stats import Slot
from rqueue.worker.worker import Worker
from tests.cli.commands import PATIENCE_S, Project, Ran
from tests.support.waiting import within

Cli = Callable[..., Ran]
AT = datetime(2026, 1, 1, tzinfo=UTC)


async def bad(text: str) -> None:
    raise ValueError(text)


async def good() -> None: ...


@pytest.fixture
def work(valkey_url: str, namespace: str) -> Callable[..., None]:
    """Run what is queued, in this process."""

    async def burst(*, history: bool) -> None:
        app = App(valkey_url, namespace=namespace)
        app.task(good)
        app.task(retry=Retry(max_attempts=1))(bad)
        async with asyncio.timeout(PATIENCE_S):
            await Worker(app, WorkerConfig(burst=True, history=history)).run()
        await app.close()

    return lambda history=True: asyncio.run(burst(history=history))


def test_it_tells_rates_times_and_failures_by_error(
    cli: Cli, app: App, work: Callable[..., None]
) -> None:
    texts = ["order 7 is gone", "order 12 is gone", "no\x1b[2J money\nat all"]
    jobs = [app.remote("bad").enqueue_sync(text) for text in texts]
    for _ in range(6):
        app.remote("good").enqueue_sync()
    work()

    ran = cli("stats")
    lines = [line.split() for line in ran.out.splitlines() if line]

    assert ran.code == 0
    counts, times = lines[:3], lines[3:6]
    assert counts[1][:2] + counts[1][3:8] == ["bad", "3", "0", "3", "100", "0", "3"]
    assert counts[2][:2] + counts[2][3:8] == ["good", "6", "6", "0", "0", "0", "0"]
    assert (counts[1][8][-1], counts[2][8][-1]) == ("█", "█")
    assert [row[0] for row in times] == ["task", "bad", "good"]
    assert all(value.endswith(("ms", "s")) for row in times[1:] for value in row[1:])
    assert [len(row) for row in times[1:]] == [8, 8]
    failures = ran.out.splitlines()[-4:]
    assert failures[0] == "    2  bad  ValueError: order 12 is gone"
    assert failures[1].startswith("       2 dead; queue default, last ")
    assert failures[1].endswith(jobs[1].id)
    assert failures[2] == "    1  bad  ValueError: no[2J money"


def test_it_tells_one_queue_and_one_task(cli: Cli, app: App, work: Callable[..., None]) -> None:
    app.remote("bad").enqueue_sync("no")
    app.remote("good").enqueue_sync()
    work()

    found = cli("stats", "--json", "-q", "default", "--task", "bad", "--since", "24h").data
    (one,) = found["tasks"]
    (failure,) = found["failures"]
    assert (one["task"], one["dead"], one["failure_rate"], one["run"]["count"]) == ("bad", 1, 1, 1)
    assert (failure["type"], failure["message"], failure["outcome"]) == ("ValueError", "no", "dead")
    assert (found["slot_s"], found["is_written"]) == (3600, True)
    assert cli("stats", "--json", "--failures", "0").data["failures"] == []
    assert "Failures" not in cli("stats", "--failures", "0").err


@pytest.mark.parametrize(("history", "why"), [(False, "--no-history"), (True, "--since 7d")])
def test_it_says_why_it_has_nothing_to_tell(
    cli: Cli, app: App, work: Callable[..., None], history: bool, why: str
) -> None:
    app.remote("good").enqueue_sync()
    work(history=history)

    ran = cli("stats", "--task", "bad", "--since", "90s")

    assert (ran.code, ran.out) == (0, "")
    assert "No job of task 'bad' ended or failed since " in ran.err
    assert why in ran.err


@pytest.mark.parametrize("words", [("--since", "10s"), ("--since", "8d"), ("--task", "no name")])
def test_what_cannot_be_asked_is_wrong_usage(cli: Cli, words: tuple[str, str]) -> None:
    assert cli("stats", *words).code == 2


def test_a_queue_that_is_not_there_is_named(cli: Cli) -> None:
    ran = cli("stats", "-q", "mial")

    assert ran.code == 3
    assert "'mial'" in ran.err


@pytest.mark.parametrize("flag", ["--history", "--no-history"])
def test_every_child_of_a_supervisor_keeps_the_history(
    project: Project, app: App, flag: str
) -> None:
    jobs = [app.remote("add").enqueue_sync(n) for n in range(40)]
    with project.start("worker", "-p", "2", "-c", "2", flag) as supervisor:
        for job in jobs:
            job.wait_sync(PATIENCE_S)
        within(PATIENCE_S, lambda: len(app.workers_sync.list()) == 2)
        supervisor.send(signal.SIGTERM)
        assert supervisor.ends() == 0

    ended = [(one.task, one.succeeded) for one in app.inspector_sync.stats().tasks]
    assert ended == ([("add", 40)] if flag == "--history" else [])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""), (0.0, "0ms"), (0.0089, "8.9ms"), (0.9994, "999ms"), (0.9996, "1s"),
        (1.234, "1.23s"), (59.96, "1m00s"), (125, "2m05s"), (3599.9, "1h00m"), (90_000, "25h00m"),
    ],
)  # fmt: skip
def test_a_duration_is_brief(seconds: float | None, text: str) -> None:
    assert brief(seconds) == text


@pytest.mark.parametrize(
    ("ended", "row"),
    [
        ([0, 0], "··"),
        ([0, 1, 4, 8], "·▁▄█"),
        ([1, 1000], "▁█"),
        ([1] * 21 + [2] * 21, "▄" * 7 + "█" * 7),
        ([7] + [0] * 20, "█" + "·" * 10),
    ],
)
def test_jobs_over_time_are_bars(ended: list[int], row: str) -> None:
    slots = [Slot(AT + timedelta(minutes=n), count, 0) for n, count in enumerate(ended)]

    assert bars(slots) == row
