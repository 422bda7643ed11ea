"""``rqueue dev``: a server, a worker and a scheduler that follow the code."""

from __future__ import annotations

import signal
import socket

from rqueue.app import App
from tests.cli.commands import TASKS, Project, Running


def url_of(dev: Running) -> str:
    return dev.says("export RQUEUE_URL=").partition("=")[2]


def test_dev_serves_reloads_and_keeps_its_data(project: Project) -> None:
    with project.start("dev") as dev:
        app = App(url_of(dev), namespace=project.namespace)
        assert app.store.url != project.url  # which stands in RQUEUE_URL: that is for others
        assert app.remote("add").options(delay=0.1).enqueue_sync(1).result_sync(20) == 3
        assert (project.folder / ".rqueue" / "url").read_text().strip() == app.store.url

        seen = len(dev.lines)
        (project.folder / "tasks.py").write_text(TASKS.replace("a + b", "100 * (a + b)"))
        dev.says("Changed: tasks.py", after=seen)
        dev.says("tasks  ", after=seen)

        assert app.remote("add").enqueue_sync(1).result_sync(20) == 300
        kept = app.remote("add").options(delay=3600).enqueue_sync(1)
        dev.send(signal.SIGINT)
        assert dev.ends() == 0
        app.close_sync()
    assert not (project.folder / ".rqueue" / "url").exists()

    (project.folder / "watchfiles.py").write_text("raise ImportError('is not needed')\n")
    with project.start("dev", "--no-reload") as dev:
        assert url_of(dev) == app.store.url  # what another terminal was told still holds
        app = App(app.store.url, namespace=project.namespace)
        assert app.job(kept.id).info_sync().state == "scheduled"
        second = project.run("dev")
        assert (second.code, "is in use" in second.err) == (1, True)
        app.close_sync()
        dev.send(signal.SIGINT)
        assert dev.ends() == 0


def test_dev_outlives_code_that_cannot_be_imported(project: Project, app: App) -> None:
    (project.folder / "tasks.py").write_text("import rqueue; oops(")
    with project.start("dev", "--url", app.store.url) as dev:
        dev.says("SyntaxError")
        dev.says("starts again when a file changes")

        (project.folder / "tasks.py").write_text(TASKS)

        dev.says("Changed: tasks.py")
        assert app.remote("add").enqueue_sync(1).result_sync(20) == 3
    assert not (project.folder / ".rqueue").exists()


def test_dev_says_when_its_port_is_taken(project: Project) -> None:
    with project.start("dev", "--no-reload") as dev:
        url = url_of(dev)
        dev.says("tasks  ")
        dev.send(signal.SIGINT)
        assert dev.ends() == 0
    port = int(url.rpartition(":")[2].removesuffix("/0"))

    with socket.create_server(("127.0.0.1", port)), project.start("dev", "--no-reload") as dev:
        dev.says(f"Something else listens on port {port}")
        assert url_of(dev) != url
        dev.says("tasks  ")
        dev.send(signal.SIGINT)
        assert dev.ends() == 0
