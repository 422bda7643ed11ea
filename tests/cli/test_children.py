"""What a command is told reaches the workers that it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from rqueue.cli.children import child_arguments
from rqueue.cli.dev import Developing, arguments
from rqueue.cli.exposure import Exposure
from rqueue.cli.options import Logging, Target
from rqueue.cli.work import Work
from rqueue.cli.worker import worker

TARGET = Target(app="tasks:app", url=None, namespace="shop")
LOGS = Logging(log_level="debug", log_format="json", log_jobs=False)
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens on it
TOLD = {"app": "tasks:app", "namespace": "shop", **asdict(LOGS)}


def understood(words: Sequence[str]) -> dict[str, Any]:
    """What ``rqueue worker`` makes of these words."""
    params = worker.make_context("worker", list(words)).params
    unsaid = ("app_name", "url", "name", "parent_fd", "journal_fd")
    return {name: value for name, value in params.items() if name not in unsaid}


@pytest.mark.parametrize("yes", [True, False])
def test_a_child_of_a_supervisor_is_a_worker_like_itself_but_alone(yes: bool) -> None:
    work = Work(
        queues="high:3,default:1",
        concurrency=7,
        processes=4,
        burst=yes,
        with_scheduler=yes,
        lease=1.5,
        grace=0.25,
        fairness=3,
        process_slots=2,
        uvloop=yes,
        banner=yes,
        max_jobs=9,
        max_memory=512,
        history=yes,
        force=yes,
    )

    exposure = Exposure(
        metrics_port=9464,
        metrics_host="127.0.0.1",
        metrics_errors=yes,
        run_buckets=(0.5, 1e-3) if yes else None,
        wait_buckets=(30.0,) if yes else None,
    )

    words = child_arguments("tasks:app", TARGET, work, LOGS, exposure)

    served = {"metrics_port": None, "metrics_host": ANYWHERE, "metrics_errors": False}
    alone = {"processes": 1, "siblings": 4, "banner": False, **served}
    assert understood(words) == TOLD | asdict(work) | asdict(exposure) | alone


@pytest.mark.parametrize("force", [True, False])
def test_the_worker_of_dev_is_also_its_scheduler(force: bool) -> None:
    developing = Developing(
        queues="mail", concurrency=7, grace=0.25, reload=True, watched=(".",), force=force
    )
    usual = understood([])

    words = arguments(developing, TARGET, LOGS)

    own = {"queues": "mail", "concurrency": 7, "grace": 0.25, "force": force}
    assert understood(words) == usual | TOLD | own | {"with_scheduler": True}
