"""``rqueue worker``: one process that runs jobs, or a supervisor of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rqueue.cli.exposure import Exposure, with_exposure
from rqueue.cli.options import Logging, Target, with_logging, with_target
from rqueue.cli.work import Family, Work, with_family, with_work

if TYPE_CHECKING:
    import asyncio

    from rqueue.app import App
    from rqueue.cli.reporting import Reporter
    from rqueue.config import WorkerConfig
    from rqueue.worker.worker import Worker


@click.command()
@click.argument("app_name", metavar="[APP]", required=False)
@with_target
@with_work
@with_logging
@with_exposure
@with_family
def worker(
    app_name: str | None,
    target: Target,
    work: Work,
    logs: Logging,
    exposure: Exposure,
    family: Family,
) -> None:
    """Run the jobs of APP: module:attr, or the app that is found in this folder.

    At SIGTERM or SIGINT it takes no more jobs, lets those that run go on for --grace and gives
    the rest back; a second signal gives them back at once. The exit code is 0 if every job that
    was begun also ended, else 1.
    """
    from rqueue.cli.banner import announce_worker, check_first
    from rqueue.cli.connecting import app_with_code
    from rqueue.cli.logs import log_to_stderr
    from rqueue.cli.serving import serve

    log_to_stderr(logs)
    target = named(target, app_name)
    found = app_with_code(target)
    found.app.tasks.check_upgrades()  # before any child is started to be refused
    config = family.of(exposure.with_buckets(work.config(found.app)))
    if work.banner:
        announce_worker(found, config, work.processes, logs, with_scheduler=work.with_scheduler)
    elif work.processes > 1:
        check_first(found.app, force=config.force)
    if work.processes > 1:
        from rqueue.cli.children import supervise

        serve(supervise(found, target, work, logs, exposure))
    running = run_worker(found.app, config, work, exposure, family)
    serve(running, wants_uvloop=work.uvloop)


def named(target: Target, app_name: str | None) -> Target:
    """The target with the app that was given as an argument."""
    if app_name is None:
        return target
    return Target(app=app_name, url=target.url, namespace=target.namespace)


async def run_worker(
    app: App, config: WorkerConfig, work: Work, exposure: Exposure, family: Family
) -> int:
    """Run a worker, and perhaps a scheduler beside it, to the end; the exit code."""
    from rqueue.cli.serving import on_hangup, on_signals, on_stacks_signal
    from rqueue.worker.worker import Worker

    worker = Worker(app, config, family.name)
    on_signals(
        worker.stop,
        f"takes no more jobs, waits up to {config.grace_s:g} s for those that run; a second "
        "signal gives them back now",
    )
    reporter = _reporter(worker, family)
    on_stacks_signal(lambda: _print_stacks(worker, reporter))
    if family.parent_fd is not None:
        on_hangup(family.parent_fd, worker.stop)
    with exposure.serving(worker.readings, worker.health):
        is_clean = await _work(app, worker, config, work, reporter)
    await app.close()
    return 0 if is_clean else 1


async def _work(
    app: App, worker: Worker, config: WorkerConfig, work: Work, reporter: Reporter | None
) -> bool:
    """Run it to its end; whether every job that was begun also ended."""
    import asyncio

    reporting = None if reporter is None else asyncio.create_task(reporter.run())
    working = asyncio.create_task(worker.run())
    try:
        if work.with_scheduler:
            await _schedule_beside(app, worker, config, working)
        return await working
    finally:
        if reporting is not None and reporter is not None:
            reporting.cancel()
            await asyncio.wait({reporting})
            await reporter.end()


def _reporter(worker: Worker, family: Family) -> Reporter | None:
    if family.parent_fd is None or family.journal_fd is None:
        return None
    from rqueue.cli.reporting import Reporter

    return Reporter(family.parent_fd, family.journal_fd, worker)


def _print_stacks(worker: Worker, reporter: Reporter | None) -> None:
    click.echo(worker.insight.stacks()["stacks"], err=True)
    if reporter is not None:
        reporter.printed_stacks()


async def _schedule_beside(
    app: App, worker: Worker, config: WorkerConfig, working: asyncio.Task[bool]
) -> None:
    """Run a scheduler until the worker has ended."""
    import asyncio

    from rqueue.worker.scheduler import Scheduler

    scheduler = Scheduler(app, lease=config.lease, force=config.force)
    scheduling = asyncio.create_task(scheduler.run())
    await asyncio.wait({working, scheduling}, return_when=asyncio.FIRST_COMPLETED)
    worker.stop()  # if it is the scheduler that ended: it never does so by itself
    await asyncio.wait({working})
    scheduler.stop()
    await asyncio.gather(scheduling, working)
