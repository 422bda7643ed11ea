"""Tasks whose code is elsewhere: called by name, with nothing to check the arguments against."""

from __future__ import annotations

from typing import Any

import msgspec

from rqueue.errors import UnknownTask
from rqueue.options import TaskOptions
from rqueue.task import Enqueuer, Task


def options_elsewhere(here: Task[..., Any] | None, queue: str, version: int) -> TaskOptions:
    """Settings of a task elsewhere; of another version of one that is here, that one's.

    Its unique keys are computed from the arguments of its own version, so these calls take none.
    """
    if here is None:
        return TaskOptions(queue=queue, version=version)
    return msgspec.structs.replace(here.declared, version=version, isolation="loop", unique=None)


def remote_task(app: Enqueuer, name: str, options: TaskOptions) -> Task[..., Any]:
    """A task to enqueue only. Any arguments and any result; the worker checks them."""

    async def elsewhere(*_args: Any, **_kwargs: Any) -> Any:
        raise UnknownTask(f"the code of {name!r} is not here; only workers that have it can run it")

    return Task(app, name, elsewhere, options)
