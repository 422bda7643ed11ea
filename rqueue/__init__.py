"""rqueue: a distributed task queue on Redis and Valkey.

Declare tasks on an ``App``, enqueue them from any service, run them with ``rqueue worker``.
"""

from __future__ import annotations

from rqueue.app import App
from rqueue.config import LeaseConfig, QueueShare, WorkerConfig
from rqueue.context import Context
from rqueue.errors import (
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
    PartlyRefused,
    PayloadTooLarge,
    ResultError,
    ResultGone,
    ResultTimeout,
    RqueueError,
    StoreError,
    StoreFull,
    StoreUnavailable,
    UnknownTask,
)
from rqueue.handle import Job
from rqueue.job import AttemptError, JobInfo, JobState
from rqueue.outcome import Discard, Fail, RetryAfter, Snooze
from rqueue.retry import Retry
from rqueue.task import Task, TaskCall
from rqueue.waiting import as_completed, results, wait
from rqueue.worker import Scheduler, Worker

__all__ = [
    # Declaring
    "App",
    "Task",
    "Context",
    "Retry",
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
    "PartlyRefused",
    "StoreError",
    "StoreUnavailable",
    "StoreFull",
    "CorruptKey",
    "UnknownTask",
    "CodecError",
    "ResultError",
    "JobNotFound",
    "JobFailed",
    "JobCancelled",
    "JobExpired",
    "ResultGone",
    "ResultTimeout",
]
