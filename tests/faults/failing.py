"""A worker or scheduler that kills itself, or tells itself to end, at an exact step:
``python -m tests.faults.failing '{"failpoint": "after fetch", "nth": 2, ...}'``.

The product knows nothing of it: its methods are wrapped here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from rqueue.store import scripts
from rqueue.store.scripts import Script
from rqueue.store.transport import AsyncTransport, Transport
from rqueue.worker.executor import Executor
from rqueue.worker.fetcher import Fetcher
from rqueue.worker.finisher import Finisher
from rqueue.worker.prepared import Prepared
from tests.faults import actor
from tests.faults.tasks import history

_fuse = itertools.count(1)
_nth = [1]
_signals = ["SIGKILL"]


def die() -> None:
    """Signals to ourselves, at the n-th time; by default ``kill -9``."""
    if next(_fuse) == _nth[0]:
        history().write("failed at its point", pid=os.getpid())
        for name in _signals:
            os.kill(os.getpid(), signal.Signals[name])


def before(owner: Any, name: str, *, marks: Callable[[Any], bool] = lambda _args: True) -> None:
    """Die when a method is called."""
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if marks(args):
            die()
        return real(*args, **kwargs)

    setattr(owner, name, wrapped)


def after_async(owner: Any, name: str) -> None:
    """Die when a coroutine has returned."""
    real = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        value = await real(*args, **kwargs)
        die()
        return value

    setattr(owner, name, wrapped)


def after_script(script: Script, owner: Any, *, marks: Callable[[Any], bool]) -> None:
    """Die when a script has run, and before anybody here has looked at its answer."""
    real = owner._exchange

    def is_meant(calls: Any) -> bool:
        return any(call.script is script and marks(call) for call in calls)

    async def awaited(self: Any, calls: Any) -> Any:
        answers = await real(self, calls)
        if is_meant(calls):
            die()
        return answers

    def blocking(self: Any, calls: Any) -> Any:
        answers = real(self, calls)
        if is_meant(calls):
            die()
        return answers

    owner._exchange = awaited if owner is AsyncTransport else blocking


def end_at(name: str) -> None:
    """Tell ourselves to end when the first job begins whose id begins so."""
    real, told = Executor.run, itertools.count()

    async def wrapped(self: Executor, job: Prepared, work: asyncio.Task[Any] | None) -> Any:
        if job.ctx.job_id.startswith(name) and next(told) == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return await real(self, job, work)

    Executor.run = wrapped


def _any(_call: Any) -> bool:
    return True


def _releases(call: Any) -> bool:
    return "release" in call.args


POINTS: dict[str, Callable[[], None]] = {
    "after fetch": lambda: before(Fetcher, "_receive", marks=lambda args: bool(args[2])),
    "before the handler": lambda: before(Executor, "run"),
    "after the handler": lambda: after_async(Executor, "run"),
    "before the finish": lambda: before(Finisher, "_send"),
    "after the finish": lambda: after_script(scripts.FINISH, AsyncTransport, marks=_any),
    "after a release": lambda: after_script(scripts.FINISH, AsyncTransport, marks=_releases),
    "before a reap": lambda: before_script(scripts.REAP, Transport),
    "after a reap": lambda: after_script(scripts.REAP, Transport, marks=_any),
    "before a promote": lambda: before_script(scripts.PROMOTE, AsyncTransport),
    "after a promote": lambda: after_script(scripts.PROMOTE, AsyncTransport, marks=_any),
}


def before_script(script: Script, owner: Any) -> None:
    """Die between the reading step and the script that moves."""
    real = owner._exchange

    def wrapped(self: Any, calls: Any) -> Any:
        if any(call.script is script for call in calls):
            die()
        return real(self, calls)

    owner._exchange = wrapped


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    _nth[0] = settings.pop("nth")
    _signals[:] = settings.pop("signals", _signals)
    POINTS[settings.pop("failpoint")]()
    if ends_at := settings.pop("ends_at", ""):
        end_at(ends_at)
    sys.argv[1] = json.dumps(settings)
    actor.main()
