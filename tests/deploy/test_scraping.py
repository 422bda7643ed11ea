"""A real Prometheus with the rules that are shipped: it scrapes, records, and tells of outages."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.prometheus import Prometheus, sooner
from rqueue import App, Job
from tests.cli.commands import PATIENCE_S, TASKS, Project, Running
from tests.cli.test_exporter import HERE, url_of
from tests.deploy.test_prometheus import DEPLOY, RULES
from tests.support.servers import Server
from tests.support.tools import tool
from tests.support.waiting import within

TIMES = 30
"""As many times sooner than it is shipped: what takes minutes then takes seconds here."""
SCRAPED_TIMES = 6
"""Not as often: without Redis the exporter tries again for a second or two, and then says so."""
LONG_S = 2 * PATIENCE_S
WORKER = (
    "worker", "tasks:app", "--metrics-host", "127.0.0.1", "--metrics-port", "0", "--lease", "2s",
)  # fmt: skip
SCHEDULER = ("scheduler", "--metrics-host", "127.0.0.1", "--metrics-port", "0", "--lease", "2s")
NO_WORKERS = ("RqueueNoWorkers", "critical")
REDIS_DOWN = ("RqueueRedisDown", "critical")
BUSY = ("RqueueEventLoopBlocked", "warning")
"""Told of this machine, when too much runs on it."""


def config_for(**here: str) -> str:
    """The configuration that is shipped, sooner, with these addresses for its own."""
    told: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    often = told["global"]
    assert sorted(often) == ["evaluation_interval", "scrape_interval"]
    often["evaluation_interval"] = sooner(often["evaluation_interval"], TIMES)
    often["scrape_interval"] = sooner(often["scrape_interval"], SCRAPED_TIMES)
    for job in told["scrape_configs"]:
        for kind in [key for key in job if key.endswith("_sd_configs") or key == "static_configs"]:
            del job[kind]
        job["static_configs"] = [{"targets": [here.pop(job["job_name"].removeprefix("rqueue-"))]}]
    assert not here
    return yaml.safe_dump(told)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "redis").mkdir()
    with Server("valkey9", data_dir=tmp_path / "redis", tcp=True) as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: Server, namespace: str) -> Project:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Project(tmp_path, server.url, namespace)


@pytest.fixture
def producer(project: Project) -> Iterator[App]:
    app = App(project.url, namespace=project.namespace)
    yield app
    app.close_sync()


def address(running: Running) -> str:
    return url_of(running).removeprefix("http://")


def work(app: App) -> list[Job[Any]]:
    """Jobs that end well, and some that do not."""
    good = [app.remote("add").enqueue_sync(n, 1) for n in range(20)]
    bad = [app.remote("bad").enqueue_sync() for _ in range(3)]
    for job in [*good, *bad]:
        job.wait_sync(PATIENCE_S)
    return good


def test_it_scrapes_records_and_tells_of_outages_until_they_are_over(
    project: Project, producer: App, server: Server, tmp_path: Path
) -> None:
    program = tool("prometheus")
    (tmp_path / "prometheus").mkdir()
    rules = {RULES.name: sooner(RULES.read_text(), TIMES)}
    with (
        project.start(*HERE) as exporter,
        project.start(*WORKER) as worker,
        project.start(*SCHEDULER) as scheduler,
    ):
        port = int(address(worker).rpartition(":")[2])
        config = config_for(
            exporter=address(exporter), workers=address(worker), schedulers=address(scheduler)
        )
        with Prometheus(program, tmp_path / "prometheus", config, rules) as prometheus:
            it_scrapes_and_records(prometheus, producer)
            worker.send(signal.SIGTERM)
            assert worker.ends() == 0
            waiting = producer.remote("add").enqueue_sync(1, 2)
            within(LONG_S, lambda: firing(prometheus) == {NO_WORKERS})
            with project.start(*WORKER, "--metrics-port", str(port)):
                assert waiting.result_sync(PATIENCE_S) == 3
                within(LONG_S, lambda: firing(prometheus) == set())
                server.kill()
                within(LONG_S, lambda: firing(prometheus) == {REDIS_DOWN})
                server.restart()
                within(LONG_S, lambda: firing(prometheus) == set())
                assert producer.remote("add").enqueue_sync(2, 2).result_sync(PATIENCE_S) == 4


def firing(prometheus: Prometheus) -> set[tuple[str, str]]:
    return prometheus.firing() - {BUSY}


def it_scrapes_and_records(prometheus: Prometheus, producer: App) -> None:
    up = dict.fromkeys(("rqueue-exporter", "rqueue-workers", "rqueue-schedulers"), "up")
    within(LONG_S, lambda: prometheus.targets() == up)
    work(producer)
    # A counter has a rate once it was seen twice.
    seen = 'rqueue_attempts_total{task="bad"} and on() rqueue_queue_processed_jobs_total > 0'
    within(LONG_S, lambda: prometheus.value(seen) == 3)
    work(producer)
    recorded = {
        'rqueue:queue_jobs:max{queue="default", state="dead"}': 6,
        'rqueue:queue_oldest_ready_age_seconds:max{queue="default"}': 0,
    }
    rates = [
        'rqueue:queue_enqueued:rate5m{queue="default"}',
        'rqueue:queue_processed:rate5m{outcome="succeeded"}',
        'rqueue:job_wait_seconds:p95_5m{queue="default"}',
        'rqueue:job_run_seconds:p95_5m{task="add"}',
        'rqueue:attempts_failed:ratio_rate10m{task="bad"}',
    ]
    within(LONG_S, lambda: all((prometheus.value(one) or 0) > 0 for one in rates))
    within(LONG_S, lambda: {one: prometheus.value(one) for one in recorded} == recorded)
    assert firing(prometheus) == set()
