"""``rqueue exporter``: scraped and probed as a real process."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from rqueue.app import App
from tests.cli.commands import Project, Running
from tests.support.pages import read
from tests.support.servers import Server

HERE = ("exporter", "--host", "127.0.0.1", "--port", "0")


def url_of(exporter: Running) -> str:
    said = exporter.says("/metrics")
    found = re.search(r"http://[\d.:]+", said)
    assert found, said
    return found[0]


def test_it_tells_prometheus_of_the_queues_until_it_is_told_to_end(
    project: Project, app: App
) -> None:
    app.remote("add").enqueue_sync(1, 2)
    with project.start(*HERE) as exporter:
        url = url_of(exporter)
        page = read(url, "/metrics")
        assert page.status == 200
        assert 'rqueue_queue_jobs{queue="default",state="ready"} 1.0' in page.text
        assert read(url, "/livez")[::2] == read(url, "/readyz")[::2] == (200, "ok\n")

        exporter.send(signal.SIGTERM)

        assert exporter.ends() == 0


def test_without_redis_it_lives_is_not_ready_and_says_so(tmp_path: Path, namespace: str) -> None:
    with Server("valkey9") as server:
        project = Project(tmp_path, server.url, namespace)
        with project.start(*HERE) as exporter:
            url = url_of(exporter)
            assert read(url, "/readyz")[::2] == (200, "ok\n")
            server.kill()

            status, _, reason = read(url, "/readyz")
            assert status == 503
            assert reason.startswith("Redis cannot be reached")
            assert read(url, "/livez")[::2] == (200, "ok\n")
            assert "\nrqueue_redis_up 0.0\n" in read(url, "/metrics").text


def test_a_variable_that_kubernetes_makes_of_a_service_is_overruled(project: Project) -> None:
    linked = {"RQUEUE_EXPORTER_PORT": "tcp://10.0.0.1:9464"}
    with project.start(*HERE, env=linked) as exporter:
        assert read(url_of(exporter), "/livez").status == 200


def test_a_port_that_is_taken_is_named(project: Project) -> None:
    with project.start(*HERE) as first:
        port = url_of(first).rpartition(":")[2]
        with project.start("exporter", "--host", "127.0.0.1", "--port", port) as second:
            assert second.ends() == 2
        assert f"cannot listen on 127.0.0.1:{port}" in "\n".join(second.lines)
