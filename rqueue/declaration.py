"""How ``@app.task`` sees a function: its own types, without the context."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypedDict, TypeVar, overload

from rqueue.context import Context
from rqueue.durability import Durability, Mode
from rqueue.names import Priority
from rqueue.options import Isolation, Seconds
from rqueue.retry import Retry
from rqueue.task import Task

P = ParamSpec("P")
R = TypeVar("R")


class Declaration(TypedDict, total=False):
    """What ``@app.task(...)`` takes; a duration is seconds, a timedelta, or a text such as ``90s``.

    Keys:
        name: how jobs name it; the function's name by default.
        queue: where its jobs go; ``default``.
        priority: critical, high, normal or low.
        retry: when a failed job runs again.
        timeout: how long one attempt may take; 300 s.
        result_ttl: how long the result is kept; one hour, 0 keeps nothing.
        expires: how long after the enqueue a job is not started any more.
        deadline: how long after the enqueue no attempt begins any more, and one that runs is ended.
        max_crashes: workers a job may kill before it is dead; 3.
        isolation: ``thread`` (default of sync tasks) or ``process``, which can be killed.
        unique: computes the unique key of a call from its arguments.
        durability: what an enqueue waits for, if not for what the app says: ``local``, ``fsync``,
            ``replicated`` or a ``Durability``.
        version: of its arguments; 1. Count it up when they change, and lift older calls with
            ``@task.upgrade``.
    """

    name: str
    queue: str
    priority: Priority
    retry: Retry
    timeout: Seconds
    result_ttl: Seconds
    expires: Seconds
    deadline: Seconds
    max_crashes: int
    isolation: Isolation
    unique: Callable[..., str]
    durability: Mode | Durability
    version: int


class TaskDecorator(Protocol):
    """What ``@app.task(...)`` returns."""

    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context[Any], P], Coroutine[Any, Any, R]], /
    ) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context[Any], P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, fn: Callable[..., Any], /) -> Task[..., Any]:
        """Declare the function."""
        ...


class ScheduleDecorator(Protocol):
    """What ``@app.cron(...)`` and ``@app.every(...)`` return: over a task, or over a function."""

    @overload
    def __call__(self, fn: Task[P, R], /) -> Task[P, R]: ...
    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context[Any], P], Coroutine[Any, Any, R]], /
    ) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context[Any], P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, fn: Any, /) -> Task[..., Any]:
        """Declare the schedule."""
        ...
