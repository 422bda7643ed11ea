"""One trace across real processes: who sends, who schedules, who works, and their children."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import PATIENCE_S, Project
from tests.support.spans import drawn, seen, traces, written
from tests.support.waiting import within

TASKS = """
import logging, os
from pathlib import Path
from opentelemetry import trace
from rqueue import App, Context, Retry

app = App(os.environ["RQUEUE_URL"], namespace=os.environ["RQUEUE_NAMESPACE"])
{setup}
tracer = trace.get_tracer("shop", tracer_provider={provider})

@app.task
async def on_loop() -> None:
    with tracer.start_as_current_span("query on the loop"):
        logging.getLogger("shop").warning("on the loop")

@app.task
def in_thread() -> None:
    with tracer.start_as_current_span("query in a thread"):
        on_loop.enqueue_sync()

@app.task(isolation="process")
def in_process() -> None:
    with tracer.start_as_current_span("query in a child"):
        logging.getLogger("shop").warning("in a child")
        on_loop.enqueue_sync()
    {provider}.force_flush()  # a child is ended at once with its worker

@app.task(retry=Retry(max_attempts=2, base=0.01))
def flaky(ctx: Context) -> None:
    if ctx.attempt == 1:
        raise ConnectionError("no")
"""
IN_CODE = """
from rqueue.contrib.otel import RqueueInstrumentor
from tests.support.spans import Lines, provider_of
provider = provider_of(Lines(Path.cwd(), str(os.getpid())))
RqueueInstrumentor().instrument(tracer_provider=provider)
"""
TICKING = """
@app.every("1s")
@app.task
async def tick() -> None: ...
"""
EXPORTER = """
import os
from pathlib import Path
from tests.support.spans import Lines
class Exporter(Lines):
    def __init__(self) -> None:
        super().__init__(Path.cwd(), str(os.getpid()))
"""
BY_NAME = {
    "METADATA": "Metadata-Version: 2.1\nName: lines\nVersion: 1\n",
    "entry_points.txt": "[opentelemetry_traces_exporter]\nlines = lines:Exporter\n",
}
AUTO = {
    "OTEL_TRACES_EXPORTER": "lines",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}
SEND = """
from tasks import app, tracer, on_loop, in_thread, in_process, flaky
with tracer.start_as_current_span("request"):
    {what}
app.close_sync()
"""


@pytest.fixture
def project(tmp_path: Path, valkey_url: str, namespace: str) -> Project:
    """A folder with an app that is traced by a line of its own."""
    code = TASKS.format(setup=IN_CODE, provider="provider")
    (tmp_path / "tasks.py").write_text(code)
    return Project(tmp_path, valkey_url, namespace)


@pytest.fixture
def untouched(tmp_path: Path, valkey_url: str, namespace: str) -> Project:
    """A folder with an app that knows of no tracing, and an exporter that is known by name."""
    code = TASKS.format(setup="", provider="trace.get_tracer_provider()")
    (tmp_path / "tasks.py").write_text(code)
    (tmp_path / "lines.py").write_text(EXPORTER)
    (tmp_path / "lines-1.dist-info").mkdir()
    for name, text in BY_NAME.items():
        (tmp_path / "lines-1.dist-info" / name).write_text(text)
    return Project(tmp_path, valkey_url, namespace)


def send(project: Project, what: str) -> None:
    """Send from a process of its own, which then ends."""
    ran = project.program(sys.executable, "-c", SEND.format(what=what))
    assert ran.code == 0, ran.err


def until(project: Project, *lines: str) -> list[dict[str, Any]]:
    """Wait until spans like these were written, each so often as it is named; all that were."""
    wanted = Counter(lines)

    def look() -> bool:
        return wanted <= Counter(drawn(written(project.folder)))

    try:
        within(PATIENCE_S, look)
    except AssertionError:
        raise AssertionError("\n".join(drawn(written(project.folder)))) from None
    return written(project.folder)


def writer(project: Project, name: str) -> str:
    """Which process wrote the span of this name."""
    files = project.folder.glob("*.spans")
    (found,) = [file.stem for file in files if f'"{name}"' in file.read_text()]
    return found


@pytest.mark.parametrize(
    ("task", "query"), [("in_thread", "query in a thread"), ("in_process", "query in a child")]
)
def test_one_trace_goes_through_sender_worker_and_a_job_that_the_job_sends(
    project: Project, task: str, query: str
) -> None:
    send(project, f"{task}.enqueue_sync()")
    with project.start("worker", "--log-format", "json") as worker:
        spans = until(project, "INTERNAL query on the loop < process default #1")
        worker.send(signal.SIGTERM)
        assert worker.ends() == 0
        told = [line for line in worker.lines if '"logger": "shop"' in line]

    assert drawn(written(project.folder)) == [
        "CONSUMER process default #1 < send default -> send default",
        "CONSUMER process default #1 < send default -> send default",
        f"INTERNAL {query} < process default #1",
        "INTERNAL query on the loop < process default #1",
        "INTERNAL request",
        f"PRODUCER send default < {query}",
        "PRODUCER send default < request",
    ]
    assert traces(written(project.folder)) == 1
    workers = writer(project, "process default")
    assert (writer(project, query) == workers) == (task == "in_thread")
    assert writer(project, "request") != workers
    assert len(told) == (1 if task == "in_thread" else 2)
    assert all(f'"trace_id": "{spans[0]["context"]["trace_id"][2:]}"' in line for line in told)


def test_a_retry_and_a_batch_are_told_from_where_they_were_sent(project: Project) -> None:
    send(project, "app.enqueue_many_sync([flaky.call(), on_loop.call()])")
    with project.start("worker", "--with-scheduler"):
        until(
            project,
            "CONSUMER process default #1 -> create default",
            "CONSUMER process default #1 -> create default",
            "CONSUMER process default #2 -> create default",
        )

    assert drawn(written(project.folder)) == [
        "CLIENT send default < request -> create default, create default",
        "CONSUMER process default #1 -> create default",
        "CONSUMER process default #1 -> create default",
        "CONSUMER process default #2 -> create default",
        "INTERNAL query on the loop < process default #1",
        "INTERNAL request",
        "PRODUCER create default < request",
        "PRODUCER create default < request",
    ]
    told = [one.told for one in seen(written(project.folder)) if "rqueue.outcome" in one.told]
    outcomes = {one["rqueue.attempt"]: one["rqueue.outcome"] for one in told
                if one["rqueue.task"] == "flaky"}  # fmt: skip
    assert outcomes == {1: "retry", 2: "complete"}


def test_a_tick_of_a_scheduler_process_is_where_its_job_comes_from(project: Project) -> None:
    code = (project.folder / "tasks.py").read_text()
    (project.folder / "tasks.py").write_text(code + TICKING)
    with project.start("scheduler"), project.start("scheduler"), project.start("worker"):
        until(project, "CONSUMER process default #1 -> send default", "PRODUCER send default")

    spans = written(project.folder)
    (first, *_) = [one for one in spans if one["name"] == "process default"]
    its = [one for one in spans if one["attributes"]["messaging.message.id"]
           == first["attributes"]["messaging.message.id"]]  # fmt: skip
    assert drawn(its) == ["CONSUMER process default #1 -> send default", "PRODUCER send default"]
    assert traces(its) == 2
    sent, attempt = (dict(one.told) for one in sorted(seen(its), reverse=True))
    assert sent["rqueue.schedule"] == attempt["rqueue.schedule"] == "tick"
    assert sent["rqueue.tick_ms"] == attempt["rqueue.tick_ms"]


def test_opentelemetry_instrument_traces_workers_and_their_children_without_code(
    untouched: Project,
) -> None:
    instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    sending = SEND.format(what="in_process.enqueue_sync()")
    sent = untouched.program(instrument, sys.executable, "-c", sending, env=AUTO)
    ran = untouched.program(
        instrument, sys.executable, "-m", "rqueue", "worker", "-p", "2", "--burst", env=AUTO
    )

    assert (sent.code, ran.code) == (0, 0), sent.err + ran.err
    assert drawn(written(untouched.folder)) == [
        "CONSUMER process default #1 < send default -> send default",
        "CONSUMER process default #1 < send default -> send default",
        "INTERNAL query in a child < process default #1",
        "INTERNAL query on the loop < process default #1",
        "INTERNAL request",
        "PRODUCER send default < query in a child",
        "PRODUCER send default < request",
    ]
    assert traces(written(untouched.folder)) == 1
