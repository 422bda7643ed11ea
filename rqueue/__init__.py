"""rqueue: a distributed task queue on Redis and Valkey.

Declare tasks on an ``App``, enqueue them from any service, run them with ``rqueue worker``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    # Declaring
    "App",
    "Task",
    "Context",
    "current_job",
    "Retry",
    "Durability",
    "Priority",
    "Middleware",
    "Next",
    "Arguments",
    # Protecting
    "Signed",
    "Encrypted",
    "Sensitive",
    # Endings a task may raise
    "Snooze",
    "RetryAfter",
    "Discard",
    "Fail",
    # Jobs
    "Job",
    "JobInfo",
    "JobState",
    "AttemptError",
    "TaskCall",
    "wait",
    "as_completed",
    "results",
    # Running
    "Worker",
    "Scheduler",
    "WorkerConfig",
    "QueueShare",
    "LeaseConfig",
    # Errors
    "RqueueError",
    "ConfigError",
    "EnqueueError",
    "InvalidArguments",
    "PayloadTooLarge",
    "Conflict",
    "QueueFull",
    "PartlyRefused",
    "StoreError",
    "StoreUnavailable",
    "StoreFull",
    "NotDurable",
    "CorruptKey",
    "StreamExhausted",
    "UnknownTask",
    "CodecError",
    "ProtectionError",
    "AttemptTimeout",
    "ResultError",
    "JobNotFound",
    "JobFailed",
    "JobCancelled",
    "JobExpired",
    "ResultGone",
    "ResultTimeout",
    # About itself
    "__version__",
]

# Each name is imported when it is first used: `rqueue --help` must not pay for Redis. The two
# halves say the same, one to type checkers and one to Python; a test compares them.
if TYPE_CHECKING:
    from rqueue.app import App
    from rqueue.config import LeaseConfig, QueueShare, WorkerConfig
    from rqueue.context import Context, current_job
    from rqueue.durability import Durability
    from rqueue.errors import (
        AttemptTimeout,
        CodecError,
        ConfigError,
        Conflict,
        CorruptKey,
        EnqueueError,
        InvalidArguments,
        JobCancelled,
        JobExpired,
        JobFailed,
        JobNotFound,
        NotDurable,
        PartlyRefused,
        PayloadTooLarge,
        ProtectionError,
        QueueFull,
        ResultError,
        ResultGone,
        ResultTimeout,
        RqueueError,
        StoreError,
        StoreFull,
        StoreUnavailable,
        StreamExhausted,
        UnknownTask,
    )
    from rqueue.handle import Job
    from rqueue.job import AttemptError, JobInfo, JobState
    from rqueue.middleware import Middleware, Next
    from rqueue.names import Priority
    from rqueue.outcome import Discard, Fail, RetryAfter, Snooze
    from rqueue.protection import Encrypted, Signed
    from rqueue.retry import Retry
    from rqueue.sensitive import Sensitive
    from rqueue.task import Task, TaskCall
    from rqueue.upgrade import Arguments
    from rqueue.waiting import as_completed, results, wait
    from rqueue.worker.scheduler import Scheduler
    from rqueue.worker.worker import Worker

    __version__: str
else:
    _HOMES = {
        "app": "App",
        "config": "LeaseConfig QueueShare WorkerConfig",
        "context": "Context current_job",
        "durability": "Durability",
        "errors": "AttemptTimeout CodecError ConfigError Conflict CorruptKey EnqueueError"
        " InvalidArguments JobCancelled JobExpired JobFailed JobNotFound NotDurable PartlyRefused"
        " PayloadTooLarge ProtectionError QueueFull ResultError ResultGone ResultTimeout"
        " RqueueError StoreError StoreFull StoreUnavailable StreamExhausted UnknownTask",
        "handle": "Job",
        "job": "AttemptError JobInfo JobState",
        "middleware": "Middleware Next",
        "names": "Priority",
        "outcome": "Discard Fail RetryAfter Snooze",
        "protection": "Encrypted Signed",
        "retry": "Retry",
        "sensitive": "Sensitive",
        "task": "Task TaskCall",
        "upgrade": "Arguments",
        "waiting": "as_completed results wait",
        "worker.scheduler": "Scheduler",
        "worker.worker": "Worker",
    }
    _HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        from importlib import import_module

        if name == "__version__":
            value = import_module("importlib.metadata").version("rqueue")
        elif name in _HOME_OF:
            value = getattr(import_module(f"rqueue.{_HOME_OF[name]}"), name)
        else:
            raise AttributeError(f"module 'rqueue' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """The public names, for completion."""
        return sorted(__all__)
