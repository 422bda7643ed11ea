"""``rqueue worker --log-format json``: lines of handlers, threads and children name their job."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rqueue.app import App
from tests.cli.commands import PATIENCE_S, Project

TASKS = """
import asyncio, logging
from rqueue import App, Retry, Sensitive, current_job

app = App()
log = logging.getLogger("shop")

@app.task
async def in_loop() -> str:
    await asyncio.sleep(0)
    log.warning("in the loop")
    await asyncio.to_thread(log.warning, "in a thread it made")
    return current_job().task

@app.task
def in_thread() -> str:
    log.warning("in a thread")
    return current_job().task

@app.task(isolation="process")
def in_child() -> str:
    log.warning("in a child")
    return current_job().task

@app.task
async def first() -> str:
    log.warning("first")
    job = await second.enqueue()
    await job.result(10)
    return job.id

@app.task
async def second() -> None:
    log.warning("second")

@app.task(retry=Retry(max_attempts=1))
async def charge(card: Sensitive[str]) -> None:
    raise ValueError(f"card {card} was refused")
"""


WITH_STRUCTLOG = """
import structlog
from rqueue import App
from rqueue.logs import job_fields

structlog.configure(
    processors=[lambda _, __, line: line | job_fields(), structlog.processors.JSONRenderer()]
)
app = App()

@app.task
async def sell() -> None:
    structlog.get_logger().warning("no stock", shelf=3)
"""


@pytest.fixture
def shop(project: Project) -> Project:
    (project.folder / "tasks.py").write_text(TASKS)
    return project


def lines(shop: Project, *words: str) -> list[dict[str, Any]]:
    """What a burst says."""
    ran = shop.run("worker", "--burst", "--no-banner", "--log-format", "json", *words)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.err.splitlines()]


def said(found: list[dict[str, Any]], message: str) -> dict[str, Any]:
    """The fields of the one line that says this, without those that all lines have."""
    (line,) = (one for one in found if one["message"] == message)
    usual = ("time", "level", "logger", "pid", "message")
    return {name: value for name, value in line.items() if name not in usual}


@pytest.mark.parametrize(
    ("task", "messages"),
    [
        ("in_loop", ["in the loop", "in a thread it made"]),
        ("in_thread", ["in a thread"]),
        ("in_child", ["in a child"]),
    ],
)
def test_a_line_names_its_job_wherever_it_is_written(
    shop: Project, app: App, task: str, messages: list[str]
) -> None:
    job = app.remote(task).enqueue_sync()
    found = lines(shop)

    for message in messages:
        assert said(found, message) == {
            "job_id": job.id, "task": task, "queue": "default", "attempt": 1,
            "correlation_id": job.id,
        }  # fmt: skip
    assert job.result_sync(PATIENCE_S) == task


def test_a_job_hands_its_correlation_id_on(shop: Project, app: App) -> None:
    remote = app.remote("first")
    own = remote.enqueue_sync()
    given = remote.options(headers={"correlation-id": "order-17"}).enqueue_sync()
    found = [one for one in lines(shop) if one["message"] in ("first", "second")]

    ids = {(one["task"], one["correlation_id"]) for one in found}
    assert ids == {(task, chain) for task in ("first", "second") for chain in (own.id, "order-17")}
    assert given.info_sync().state == "succeeded"


def ends(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fields = ("level", "job_id", "task", "queue", "attempt", "ending")
    told = (one for one in found if one["logger"] == "rqueue.jobs")
    return [{name: one[name] for name in fields} for one in told]


def test_each_job_that_ends_has_a_line_and_its_secrets_have_none(shop: Project, app: App) -> None:
    well = app.remote("second").enqueue_sync()
    badly = app.remote("charge").enqueue_sync("4242-4242")
    found = lines(shop)

    usual = {"queue": "default", "attempt": 1}
    told = sorted(ends(found), key=lambda one: one["task"])
    assert told == [
        {"level": "error", "job_id": badly.id, "task": "charge", "ending": "bury", **usual},
        {"level": "info", "job_id": well.id, "task": "second", "ending": "complete", **usual},
    ]
    (error,) = (one for one in found if one.get("error"))
    assert error["error"] == "ValueError"
    assert "4242" not in json.dumps(found)


def test_those_that_end_well_can_be_left_out(shop: Project, app: App) -> None:
    app.remote("second").enqueue_sync()
    app.remote("charge").enqueue_sync("4242-4242")

    assert [one["task"] for one in ends(lines(shop, "--no-log-jobs"))] == ["charge"]


def test_who_logs_with_structlog_is_left_in_peace_and_may_name_the_job(
    project: Project, app: App
) -> None:
    (project.folder / "tasks.py").write_text(WITH_STRUCTLOG)
    job = app.remote("sell").options(headers={"correlation-id": "r7"}).enqueue_sync()
    ran = project.run("worker", "--burst", "--no-banner", "--log-format", "json")

    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {
            "event": "no stock", "shelf": 3, "job_id": job.id, "task": "sell", "queue": "default",
            "attempt": 1, "correlation_id": "r7",
        }
    ]  # fmt: skip
