"""``rqueue worker``: one process that runs jobs, or a supervisor of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from rqueue.cli.options import (
    Logging,
    Target,
    bundled,
    duration,
    option,
    with_logging,
    with_target,
)

if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.config import WorkerConfig


@dataclass(frozen=True)
class Work:
    """What the worker does; the names are those of ``WorkerConfig`` and its own options."""

    queues: str
    concurrency: int
    processes: int
    burst: bool
    with_scheduler: bool
    lease: float
    grace: float
    fairness: int
    process_slots: int
    uvloop: bool

    def config(self) -> WorkerConfig:
        """The settings of a worker.

        Raises:
            ConfigError: one is not allowed.
        """
        from rqueue.config import LeaseConfig, WorkerConfig, parse_queues

        return WorkerConfig(
            queues=parse_queues(self.queues),
            concurrency=self.concurrency,
            lease=LeaseConfig(lease_s=self.lease),
            grace_s=self.grace,
            fairness=self.fairness,
            burst=self.burst,
            process_slots=self.process_slots,
            exit_when_stuck=True,
        )


@dataclass(frozen=True)
class Family:
    """What a supervisor tells a child: how its worker ids begin, and where its own end shows."""

    name: str
    parent_fd: int | None


with_work = bundled(
    "work",
    Work,
    option(
        "-q", "--queues", default="default",
        help="In this order (mail,default) or by weight (high:3,default:1).",
    ),
    option("-c", "--concurrency", default=100, help="Jobs at a time in each process."),
    option("-p", "--processes", type=click.IntRange(1, 1000), default=1, help="Worker processes."),
    option("--burst", is_flag=True, help="End when the queues are empty."),
    option("--with-scheduler", is_flag=True, help="Promote, recover and clean up as well."),
    option("--lease", type=duration, default="15s", help="How long a silent worker is trusted."),
    option("--grace", type=duration, default="25s", help="How long jobs may go on after a signal."),
    option("--fairness", default=10, help="One fetch in N starts at the lowest priority; 0 = off."),
    option("--process-slots", default=0, help='Processes for isolation="process"; 0 = all cores.'),
    option("--uvloop/--no-uvloop", default=True, help="Use uvloop if it is installed."),
)  # fmt: skip

with_family = bundled(
    "family",
    Family,
    option("--name", default="", hidden=True),
    option("--parent-fd", type=int, hidden=True),
)


@click.command()
@click.argument("app_name", metavar="[APP]", required=False)
@with_target
@with_work
@with_logging
@with_family
def worker(
    app_name: str | None, target: Target, work: Work, logs: Logging, family: Family
) -> None:
    """Run the jobs of APP: module:attr, or the app that is found in this folder.

    At SIGTERM or SIGINT it takes no more jobs, lets those that run go on for --grace and gives
    the rest back; a second signal gives them back at once. The exit code is 0 if every job that
    was begun also ended, else 1.
    """
    from rqueue.cli.banner import announce_worker
    from rqueue.cli.connecting import app_with_code
    from rqueue.cli.logs import log_to_stderr
    from rqueue.cli.serving import serve

    log_to_stderr(logs)
    target = named(target, app_name)
    config = work.config()
    found = app_with_code(target)
    if not family.name:
        announce_worker(found, config, work.processes, logs)
    if work.processes > 1:
        from rqueue.cli.children import supervise

        serve(supervise(found, target, work, logs))
    serve(run_worker(found.app, config, work, family), wants_uvloop=work.uvloop)


def named(target: Target, app_name: str | None) -> Target:
    """The target with the app that was given as an argument."""
    if app_name is None:
        return target
    return Target(app=app_name, url=target.url, namespace=target.namespace)


async def run_worker(app: App, config: WorkerConfig, work: Work, family: Family) -> int:
    """Run a worker, and perhaps a scheduler beside it, to the end; the exit code."""
    import asyncio

    from rqueue.cli.serving import on_hangup, on_signals
    from rqueue.worker import Scheduler, Worker

    worker = Worker(app, config, family.name)
    on_signals(
        worker.stop,
        f"takes no more jobs, waits up to {config.grace_s:g} s for those that run; a second "
        "signal gives them back now",
    )
    if family.parent_fd is not None:
        on_hangup(family.parent_fd, worker.stop)
    working = asyncio.create_task(worker.run())
    if work.with_scheduler:
        scheduler = Scheduler(app, lease=config.lease)
        scheduling = asyncio.create_task(scheduler.run())
        await asyncio.wait({working, scheduling}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()  # if it is the scheduler that ended: it never does so by itself
        await asyncio.wait({working})
        scheduler.stop()
        await scheduling
    is_clean = await working
    await app.close()
    return 0 if is_clean else 1
