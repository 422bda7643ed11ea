"""The options of ``rqueue worker``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from rqueue.cli.options import bundled, duration, option, size, with_force

if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.config import QueueShare, WorkerConfig


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
    banner: bool
    max_jobs: int
    max_memory: int
    history: bool
    force: bool

    def config(self, app: App) -> WorkerConfig:
        """The settings of a worker of this app.

        Raises:
            ConfigError: one is not allowed.
        """
        from rqueue.config import LeaseConfig, WorkerConfig, parse_queues

        return WorkerConfig(
            queues=parse_queues(self.queues) or queues_of(app),
            concurrency=self.concurrency,
            lease=LeaseConfig(lease_s=self.lease),
            grace_s=self.grace,
            fairness=self.fairness,
            burst=self.burst,
            process_slots=self.process_slots,
            exit_when_stuck=True,
            max_jobs=self.max_jobs,
            max_memory=self.max_memory,
            history=self.history,
            force=self.force,
        )


def queues_of(app: App) -> tuple[QueueShare, ...]:
    """Every queue that a task of the app declares, after the queue ``default``."""
    from rqueue.config import QueueShare

    names = dict.fromkeys(["default", *(task.declared.queue for task in app.tasks)])
    return tuple(QueueShare(name) for name in names)


@dataclass(frozen=True)
class Family:
    """What a supervisor tells a child.

    Attributes:
        name: how its worker ids begin.
        parent_fd: where the supervisor's own end shows, and where it listens.
        journal_fd: where it finds what the child has counted.
        siblings: how many it keeps, this one included.
    """

    name: str
    parent_fd: int | None
    journal_fd: int | None
    siblings: int

    def of(self, config: WorkerConfig) -> WorkerConfig:
        """The settings of a worker that is one of so many."""
        import msgspec

        return msgspec.structs.replace(config, processes=self.siblings)


with_work = bundled(
    "work",
    Work,
    option(
        "-q", "--queues", default="",
        help="In this order (mail,default) or by weight (high:3,default:1).  [default: every"
        " queue that a task of the app declares, and the queue default]",
    ),
    option("-c", "--concurrency", default=100, help="Jobs at a time in each process."),
    option("-p", "--processes", type=click.IntRange(1, 1000), default=1, help="Worker processes."),
    option("--burst", is_flag=True, help="End when the queues are empty."),
    option("--with-scheduler", is_flag=True, help="Promote, recover and clean up as well."),
    option("--lease", type=duration, default="15s", help="How long a silent worker is trusted."),
    option("--grace", type=duration, default="25s", help="How long jobs may go on after a signal."),
    option("--fairness", default=10, help="One fetch in N starts at the lowest priority; 0 = off."),
    option("--process-slots", default=0, help='Processes for isolation="process"; 0 = all cores.'),
    option(
        "--uvloop/--no-uvloop", default=True, help="Use uvloop.",
        show_default="if installed",
    ),
    option("--banner/--no-banner", default=True, show_default="on", help="Say what is run."),
    option("--max-jobs", default=0, help="End a process after so many attempts; 0 = never."),
    option(
        "--max-memory", type=size, default="0",
        help="End a process that uses so much: 500MB, 2GB; 0 = never.",
    ),
    option(
        "--history/--no-history", default=True, show_default="on",
        help="Keep what became of jobs in Redis for seven days, for rqueue stats.",
    ),
    with_force,
)  # fmt: skip

with_family = bundled(
    "family",
    Family,
    option("--name", default="", hidden=True),
    option("--parent-fd", type=int, hidden=True),
    option("--journal-fd", type=int, hidden=True),
    option("--siblings", type=click.IntRange(1, 1000), default=1, hidden=True),
)
