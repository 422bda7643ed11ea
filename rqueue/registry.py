"""The tasks of an app, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rqueue.errors import ConfigError, UnknownTask
from rqueue.suggestion import nearest
from rqueue.task import Task


class TaskRegistry:
    """Every task of an app, by name: ``app.tasks``."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[Any, Any]] = {}

    def add(self, task: Task[Any, Any]) -> None:
        """Register a task.

        Raises:
            ConfigError: the name is taken by another function.
        """
        there = self._tasks.get(task.name)
        if there is not None and there.fn.__code__ is not task.fn.__code__:
            message = (
                f"two tasks are named {task.name!r}: {_where(there.fn)} and {_where(task.fn)}. "
                "Give one of them @app.task(name=...)"
            )
            raise ConfigError(message)
        self._tasks[task.name] = task

    def has(self, name: str) -> bool:
        """Whether a task of this name is registered."""
        return name in self._tasks

    def find(self, name: str) -> Task[Any, Any] | None:
        """The task of this name, or None."""
        return self._tasks.get(name)

    def get(self, name: str) -> Task[Any, Any]:
        """The task of this name.

        Raises:
            UnknownTask: there is none; names the nearest.
        """
        try:
            return self._tasks[name]
        except KeyError:
            near = nearest(name, self._tasks, 3)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            message = (
                f"no task is named {name!r}.{hint} Is the module that declares it imported by the "
                "app (App(imports=[...]))?"
            )
            raise UnknownTask(message) from None

    def check_upgrades(self) -> None:
        """Make sure that calls of every older version of every task are lifted.

        Raises:
            ConfigError: a version is missing.
        """
        for task in self:
            task.upgrades.check()

    def names(self) -> list[str]:
        """Every name, sorted."""
        return sorted(self._tasks)

    def __iter__(self) -> Iterator[Task[Any, Any]]:
        """Every task, by name."""
        return iter([self._tasks[name] for name in self.names()])

    def __len__(self) -> int:
        """How many tasks there are."""
        return len(self._tasks)


def _where(fn: Callable[..., Any]) -> str:
    return f"{fn.__module__}.{fn.__qualname__}"
