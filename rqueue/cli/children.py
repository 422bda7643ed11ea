"""The command line of a worker's children."""

from __future__ import annotations

import os
from functools import partial

from rqueue.cli.discovery import Found
from rqueue.cli.exposure import Exposure
from rqueue.cli.options import Logging, Target
from rqueue.cli.serving import on_signals, on_stacks_signal
from rqueue.cli.work import Work
from rqueue.supervisor import Supervisor, fence


async def supervise(
    found: Found, target: Target, work: Work, logs: Logging, exposure: Exposure
) -> int:
    """Run the worker in several processes; the exit code."""
    config = work.config(found.app)
    first = child_arguments(found.spec, target, work, logs, exposure)
    # One scheduler is enough; the first child runs it.
    others = [word for word in first if word != "--with-scheduler"]
    supervisor = Supervisor(
        [first, *[others] * (work.processes - 1)],
        child_environment(target),
        partial(fence, found.app, config),
        is_burst=work.burst,
    )
    on_signals(
        supervisor.stop,
        f"the workers take no more jobs and wait up to {config.grace_s:g} s for those that run; a "
        "second signal gives them back now",
    )
    on_stacks_signal(supervisor.print_stacks)
    with exposure.serving(supervisor.readings, supervisor):
        return await supervisor.run()


def child_arguments(
    spec: str, target: Target, work: Work, logs: Logging, exposure: Exposure
) -> list[str]:
    """What a child is called with: flags, which no variable in its environment overrules."""
    words = [
        "--app", spec,
        "--queues", work.queues,
        "--concurrency", str(work.concurrency),
        "--processes", "1",
        "--siblings", str(work.processes),
        "--no-banner",
        "--lease", f"{work.lease}s",
        "--grace", f"{work.grace}s",
        "--fairness", str(work.fairness),
        "--process-slots", str(work.process_slots),
        "--max-jobs", str(work.max_jobs),
        "--max-memory", str(work.max_memory),
        "--history" if work.history else "--no-history",
        "--uvloop" if work.uvloop else "--no-uvloop",
        "--log-level", logs.log_level,
        "--log-format", logs.log_format,
        "--log-jobs" if logs.log_jobs else "--no-log-jobs",
        *exposure.arguments(),
    ]  # fmt: skip
    if target.namespace is not None:
        words += ["--namespace", target.namespace]
    if work.burst:
        words.append("--burst")
    if work.with_scheduler:
        words.append("--with-scheduler")
    if work.force:
        words.append("--force")
    return words


def child_environment(target: Target) -> dict[str, str]:
    """What a child inherits. The URL is not put on its command line: it may hold a password."""
    hidden = {
        "RQUEUE_WORKER_BURST",
        "RQUEUE_WORKER_WITH_SCHEDULER",
        "RQUEUE_WORKER_METRICS_PORT",
    }
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    return inherited if target.url is None else {**inherited, "RQUEUE_URL": target.url}
