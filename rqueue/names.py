"""Which names are allowed: queues, tasks, job ids, unique keys, priorities.

A queue's name stands between the braces of a Redis Cluster hash tag and in ACL patterns, so a
brace, a colon or a glob in it would change the slot or the rights; those are refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, cast

from rqueue.errors import ConfigError

Priority = Literal["critical", "high", "normal", "low"]
PRIORITIES = ("critical", "high", "normal", "low")
"""The four priorities, most urgent first; each has a stream of its own."""

_QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}\Z")
_LONGEST_TASK = 200
_TASK = re.compile(r"[A-Za-z_][A-Za-z0-9_.:<>-]{0,199}\Z")


def check_queue(name: object) -> str:
    """Return the name of a queue, or raise ``ConfigError``."""
    return _check(name, _QUEUE, "queue name", "1-64 characters of A-Z a-z 0-9 . _ -")


def is_queue(name: str) -> bool:
    """Whether a queue can have this name."""
    return _QUEUE.match(name) is not None


def check_namespace(name: object) -> str:
    """Return a namespace, the first part of every key, or raise ``ConfigError``."""
    return _check(name, _QUEUE, "namespace", "1-64 characters of A-Z a-z 0-9 . _ -")


@lru_cache(maxsize=1024)
def _is_task(name: str) -> bool:
    return _TASK.match(name) is not None


def is_task(name: str) -> bool:
    """Whether a task can have this name."""
    return len(name) <= _LONGEST_TASK and _is_task(name)  # so that nothing long is remembered


def check_task(name: object) -> str:
    """Return the name of a task, or raise ``ConfigError``."""
    return _check(name, _TASK, "task name", "1-200 characters of A-Z a-z 0-9 _ . : < > -")


def check_job_id(job_id: object) -> str:
    """Return a job id that a caller chose, or raise ``ConfigError``."""
    return _check(
        job_id,
        _JOB_ID,
        "job id",
        "1-128 characters of A-Z a-z 0-9 . _ : @ / + = -, no leading mark",
    )


def check_unique(key: object) -> str:
    """Return a unique key, or raise ``ConfigError``."""
    problem = wrong_unique(key)
    if problem:
        raise ConfigError(problem)
    return cast("str", key)


def wrong_unique(key: object) -> str:
    """Why this cannot be a unique key, or ""."""
    if isinstance(key, str) and 0 < len(key) <= 256 and key.isprintable():
        return ""
    return f"unique key {_shown(key)} is not allowed: it must be 1-256 printable characters"


def check_priority(priority: object) -> str:
    """Return a priority, or raise ``ConfigError``."""
    if isinstance(priority, str) and priority in PRIORITIES:
        return priority
    message = f"priority {_shown(priority)} is not one of {', '.join(PRIORITIES)}"
    raise ConfigError(message)


def _check(value: object, pattern: re.Pattern[str], what: str, rule: str) -> str:
    if isinstance(value, str) and pattern.match(value):
        return value
    message = f"{what} {_shown(value)} is not allowed: it must be {rule}"
    raise ConfigError(message)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
