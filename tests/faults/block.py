"""Sends jobs that block the event loop of their worker."""

from __future__ import annotations

from rqueue import App
from tests.faults import tasks
from tests.faults.stage import NAMESPACE, Stage


def send_blocks(stage: Stage, count: int, seconds: float) -> None:
    app = App(stage.url, namespace=NAMESPACE)
    for number in range(count):
        job_id = f"block-{number}"
        task = app.remote("block").options(job_id=job_id)
        stage.history.write("asked", job=job_id, task=tasks.block.name, options={})
        job = task.enqueue_sync(seconds)
        stage.history.write("answered", job=job_id, status=job.status, holder=job.id)
    app.close_sync()
