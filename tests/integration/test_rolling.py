"""A rolling deploy with real processes: two releases of an app, and of rqueue, side by side."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import rqueue
from rqueue import App, Job
from rqueue.store.keys import queue_keys
from tests.cli.commands import PATIENCE_S, Project, Running
from tests.support.waiting import within

COMMON = """
import asyncio, os
from pathlib import Path
import rqueue
from rqueue import App, Context

app = App()
BY = "older" if "older" in rqueue.__file__ else "newer"
LOG = Path(os.environ["RAN"])

def ran(ctx: Context, told: str) -> None:
    with LOG.open("a") as log:
        log.write(f"{ctx.job_id} {told} by {BY}\\n")

@app.every(1, missed="all", overlap="allow")
@app.task
async def tick(ctx: Context) -> None:
    ran(ctx, "tick")
"""
FIRST = (
    COMMON
    + """
@app.task
async def charge(ctx: Context, user: str, cents: int) -> str:
    ran(ctx, "first")
    await asyncio.sleep(0.01)
    return f"{user} {cents / 100:.2f} EUR"
"""
)
SECOND = (
    COMMON
    + """
@app.task(version=2)
async def charge(ctx: Context, user: str, amount: str, currency: str) -> str:
    ran(ctx, "second")
    await asyncio.sleep(0.01)
    return f"{user} {amount} {currency}"

@charge.upgrade(1)
def from_cents(user: str, cents: int) -> dict[str, str]:
    return {"user": user, "amount": f"{cents / 100:.2f}", "currency": "EUR"}

@app.task
async def refund(ctx: Context, user: str) -> str:
    ran(ctx, "refund")
    return f"refunded {user}"
"""
)
JOBS = 300


class Deploy:
    """Two folders with the releases, and what their tasks have written."""

    def __init__(self, folder: Path, url: str, namespace: str) -> None:
        self.log = folder / "ran"
        self.log.touch()
        self.older = other_rqueue(folder / "older")
        self.releases: dict[str, Project] = {}
        for name, code in (("first", FIRST), ("second", SECOND)):
            (folder / name).mkdir()
            (folder / name / "tasks.py").write_text(code)
            self.releases[name] = Project(folder / name, url, namespace)
        self.app = App(url, namespace=namespace)
        self.keys = queue_keys(namespace, "default")

    def start(self, name: str, stack: ExitStack) -> Running:
        """A worker and a scheduler of a release; the first one is of another rqueue as well."""
        env = {"RAN": str(self.log)}
        if name == "first":
            env["PYTHONPATH"] = str(self.older)
        words = ("worker", "--with-scheduler", "--log-level", "info", "-c", "5")
        return stack.enter_context(self.releases[name].start(*words, env=env))

    def charge(self, name: str, numbers: range) -> list[Job[str]]:
        """Jobs as a producer of this release sends them."""
        if name == "first":
            task = self.app.remote("charge")
            return self.app.enqueue_many_sync(task.call(f"u{n}", n) for n in numbers)
        task = self.app.remote("charge", version=2)
        calls = (task.call(f"u{n}", f"{n / 100:.2f}", "EUR") for n in numbers)
        return self.app.enqueue_many_sync(calls)

    def runs(self) -> list[tuple[str, str]]:
        lines = self.log.read_text().splitlines()
        return [(job, told) for job, _, told in (line.partition(" ") for line in lines)]

    def told(self) -> Counter[str]:
        """How many runs there were, by what ran and by which rqueue."""
        return Counter(told for _, told in self.runs())

    def ticks(self) -> int:
        return sum(told.startswith("tick") for _, told in self.runs())

    def parked(self) -> int:
        (queue,) = self.app.inspector_sync.queues("default")
        return queue.counters.get("park", 0)


def other_rqueue(folder: Path) -> Path:
    """A copy of rqueue whose scripts are others to Redis, and which parks for a moment only."""
    package = shutil.copytree(Path(rqueue.__file__).parent, folder / "rqueue")
    for script in (package / "store" / "lua").glob("*.lua"):
        script.write_text(script.read_text() + "\n-- an older release\n")
    parking = package / "worker" / "protecting.py"
    text = parking.read_text()
    assert "PARK_MS = 15_000" in text
    parking.write_text(text.replace("PARK_MS = 15_000", "PARK_MS = 200"))
    return folder


@pytest.fixture
def deploy(tmp_path: Path, url: str, namespace: str) -> Deploy:
    return Deploy(tmp_path, url, namespace)


def test_two_releases_side_by_side_lose_nothing_and_run_nothing_twice(deploy: Deploy) -> None:
    with ExitStack() as stack:
        old = deploy.start("first", stack)
        before = deploy.charge("first", range(JOBS))
        within(PATIENCE_S, lambda: deploy.told()["first by older"] and deploy.ticks())

        # The new producers are there first: what only the new release knows has to wait for it.
        refund = deploy.app.remote("refund").enqueue_sync("ada")
        newer = deploy.charge("second", range(JOBS, JOBS + 5))
        within(PATIENCE_S, lambda: deploy.parked() >= 6)
        new = deploy.start("second", stack)
        assert refund.result_sync(PATIENCE_S) == "refunded ada"

        during = deploy.charge("first", range(JOBS + 5, 2 * JOBS))
        within(PATIENCE_S, lambda: deploy.told()["second by newer"] > 5)
        ticks = deploy.ticks()
        within(PATIENCE_S, lambda: deploy.ticks() >= ticks + 3)
        old.send(signal.SIGTERM)
        assert old.ends() == 0
        after = deploy.charge("first", range(2 * JOBS, 2 * JOBS + 5))

        jobs = [*before, *newer, *during, *after]
        results = [job.result_sync(PATIENCE_S) for job in jobs]
        new.send(signal.SIGTERM)
        assert new.ends() == 0

    assert results == [f"u{n} {n / 100:.2f} EUR" for n in range(2 * JOBS + 5)]
    assert {told for told in deploy.told() if not told.startswith("tick")} == {
        "first by older", "second by newer", "refund by newer",
    }  # fmt: skip
    assert deploy.app.inspector_sync.dead("default") == []
    runs = Counter(job for job, _ in deploy.runs())
    assert [job for job, count in runs.items() if count > 1] == []
    assert [tick for tick, count in ticks_of(deploy.app).items() if count > 1] == []
    assert missing_ticks(deploy.app) == []


def ticks_of(app: App) -> Counter[datetime]:
    """How often each tick that is remembered has made a job."""
    (schedule,) = app.schedules_sync.list()
    said = app.schedules_sync.history(schedule.name)
    return Counter(one.tick for one in said if one.said == "ran")


def missing_ticks(app: App) -> list[datetime]:
    """The ticks between the first and the last that is remembered, of which none is."""
    ran = ticks_of(app)
    first, seconds = min(ran), round((max(ran) - min(ran)).total_seconds())
    every = (first + timedelta(seconds=n) for n in range(seconds + 1))
    return [tick for tick in every if tick not in ran]
