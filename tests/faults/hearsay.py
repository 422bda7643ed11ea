"""All that a run has told anybody: logs, the history, and what is shown of its jobs at the end."""

from __future__ import annotations

import os
import subprocess
import sys

from rqueue import App
from tests.faults.canaries import SHOWN
from tests.faults.process import ROOT
from tests.faults.stage import NAMESPACE, Stage
from tests.support.queue_state import QueueState

_MOST = 50
"""Jobs that are asked for one by one."""
_CONFIDED = "confide"


def texts(stage: Stage, state: QueueState) -> dict[str, str]:
    """Each text by the name of where it stands."""
    told = {f"the log of {one.name}": one.log.read_text(errors="replace") for one in stage.actors}
    told["the history"] = stage.history.path.read_text()
    return told | _records(state) | _past(state) | _inspected(stage, state) | _listed(stage)


def _records(state: QueueState) -> dict[str, str]:
    """Errors as they are kept: signed, they can still be read. A payload stands in its record."""
    return {
        f"{SHOWN}{field} in the record of {job}": text
        for job, record in state.records.items()
        for field, text in record.items()
        if field.startswith("error_")
    }


def _past(state: QueueState) -> dict[str, str]:
    """What workers keep of failures for a week: their errors' first lines, as in the records."""
    return {f"{SHOWN}{key} of the past": repr(told) for key, told in state.history.items()}


def _inspected(stage: Stage, state: QueueState) -> dict[str, str]:
    """What the inspector says of jobs that failed, whatever became of them."""
    failed = [job for job, record in state.records.items() if "error_1" in record]
    failed.sort(key=lambda job: state.records[job].get("task") != _CONFIDED)
    app = App(stage.url, namespace=NAMESPACE, protection=stage.protection)
    found = {job: app.inspector_sync.find(job) for job in failed[:_MOST]}
    app.close_sync()
    return {f"{SHOWN}the inspector, of {job}": repr(info) for job, info in found.items()}


def _listed(stage: Stage) -> dict[str, str]:
    """What the command line says of dead jobs; it says of each what ``job show`` does."""
    command = ("dead", "list", "--limit", "0", "--json")
    ran = subprocess.run(
        [sys.executable, "-m", "rqueue", *command, "-A", "tests.faults.tasks:app",
         "--url", stage.url, "--namespace", NAMESPACE],
        cwd=ROOT, env={**os.environ, **stage.env}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return {f"{SHOWN}rqueue {' '.join(command)}": ran.stdout + ran.stderr}
