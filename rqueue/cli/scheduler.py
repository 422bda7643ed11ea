"""``rqueue scheduler``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from rqueue.cli.exposure import with_host, with_port
from rqueue.cli.options import (
    Logging,
    Target,
    bundled,
    duration,
    option,
    with_force,
    with_logging,
    with_target,
)

if TYPE_CHECKING:
    from rqueue.app import App


@dataclass(frozen=True)
class Duties:
    """Which queues are served, and when a worker counts as dead."""

    queues: str
    lease: float
    uvloop: bool
    metrics_port: int | None
    metrics_host: str
    force: bool


with_duties = bundled(
    "duties",
    Duties,
    option("-q", "--queues", default="", help="Only these, as in mail,default.  [default: all]"),
    option("--lease", type=duration, default="15s", help="The lease of the workers."),
    option("--uvloop/--no-uvloop", default=True, show_default="if installed", help="Use uvloop."),
    with_port,
    with_host,
    with_force,
)


@click.command()
@with_target
@with_duties
@with_logging
def scheduler(target: Target, duties: Duties, logs: Logging) -> None:
    """Promote due jobs, recover the jobs of dead workers, clean up. Any number may run.

    It needs no code: without an app, --url and --namespace say whom it serves.
    """
    from rqueue.cli.banner import announce_scheduler
    from rqueue.cli.connecting import app_to_serve
    from rqueue.cli.logs import log_to_stderr
    from rqueue.cli.serving import serve

    log_to_stderr(logs)
    found = app_to_serve(target)
    announce_scheduler(found, logs)
    serve(run_scheduler(found.app, duties), wants_uvloop=duties.uvloop)


async def run_scheduler(app: App, duties: Duties) -> int:
    """Run a scheduler until a signal; the exit code."""
    from rqueue.cli.exposure import probed
    from rqueue.cli.serving import on_signals, on_stacks_signal
    from rqueue.config import LeaseConfig, parse_queues
    from rqueue.worker.scheduler import Scheduler

    names = [share.name for share in parse_queues(duties.queues)]
    lease = LeaseConfig(lease_s=duties.lease)
    scheduler = Scheduler(app, names, lease, force=duties.force)
    on_signals(scheduler.stop, "stops")
    on_stacks_signal()
    with probed(scheduler.health, duties.metrics_host, duties.metrics_port):
        await scheduler.run()
    await app.close()
    return 0
