"""What an app declares: tasks, schedules, middleware, hooks and observers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from inspect import iscoroutinefunction, isfunction, ismethod
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack, cast, overload

import msgspec

from rqueue.context import Context
from rqueue.declaration import Declaration, ScheduleDecorator, TaskDecorator
from rqueue.durability import durability_of
from rqueue.errors import ConfigError
from rqueue.events import Observer, Observers
from rqueue.middleware import Middleware
from rqueue.options import Seconds, TaskOptions, seconds
from rqueue.registry import TaskRegistry
from rqueue.suggestion import did_you_mean
from rqueue.task import Enqueuer, Task, TaskCall

# Whoever declares no schedule does not pay for calendars and time zones.
if TYPE_CHECKING:
    from rqueue.timing import Timing

P = ParamSpec("P")
R = TypeVar("R")
AnyFunction = Callable[..., Any]
Hook = Callable[[TaskCall[Any]], TaskCall[Any]]


class DeclaredSchedule(msgspec.Struct, frozen=True):
    """A schedule in code: what it calls, and the settings of its ``Schedule``."""

    name: str
    task: Task[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    settings: Mapping[str, Any]

    def call(self) -> TaskCall[Any]:
        """The call that each tick makes.

        Raises:
            InvalidArguments: the task needs other arguments.
        """
        return self.task.call(*self.args, **self.kwargs)


class Declaring:
    """The part of an app with which code is declared.

    Args:
        imports: modules that declare tasks, imported when a worker starts.
    """

    def __init__(self, imports: Sequence[str]) -> None:
        self._imports = tuple(imports)
        self.tasks = TaskRegistry()
        self.declared_schedules: dict[str, DeclaredSchedule] = {}
        self.middlewares: list[Middleware] = []
        self._hooks: list[Hook] = []
        self.observers = Observers()

    @overload
    def task(
        self, fn: Callable[Concatenate[Context[Any], P], Coroutine[Any, Any, R]], /
    ) -> Task[P, R]: ...
    @overload
    def task(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def task(self, fn: Callable[Concatenate[Context[Any], P], R], /) -> Task[P, R]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, **declared: Unpack[Declaration]) -> TaskDecorator: ...
    def task(self, fn: AnyFunction | None = None, /, **declared: Unpack[Declaration]) -> Any:
        """Declare a function as a task: ``@app.task`` or ``@app.task(queue="mail")``.

        An async function runs on the worker's event loop, a plain one in a thread. A first
        parameter annotated ``Context`` receives the running job and is not the caller's business.

        Raises:
            ConfigError: an option is not allowed, an annotation cannot travel, or the name is
                taken.
        """

        def declare(function: AnyFunction) -> Task[..., Any]:
            return self._declare(function, declared)

        return declare if fn is None else declare(fn)

    def middleware(self, fn: Middleware) -> Middleware:
        """Wrap every execution: ``async def mine(ctx, call_next): return await call_next(ctx)``."""
        self.middlewares.append(fn)
        return fn

    def before_enqueue(
        self, hook: Callable[[TaskCall[Any]], TaskCall[Any]]
    ) -> Callable[[TaskCall[Any]], TaskCall[Any]]:
        """Change every call before it is sent, or refuse it by raising; no I/O here."""
        self._hooks.append(hook)
        return hook

    def observe(self, observer: Observer) -> Observer:
        """Hear of what happens in this process; see ``rqueue.events``."""
        self.observers.add(observer)
        return observer

    def cron(
        self,
        expression: str,
        /,
        *,
        name: str = "",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **timing: Unpack[Timing],
    ) -> ScheduleDecorator:
        """Run a task by a cron expression: ``@app.cron("30 2 * * *", tz="Europe/Rome")``.

        Over a function it declares the task as well; over ``@app.task(...)`` it takes that one. A
        task may have several schedules, each with a name of its own.

        Args:
            expression: five fields, or six with seconds in front.
            name: of the schedule; the task's by default.
            args: positional arguments of each run.
            kwargs: arguments by name.
            timing: see ``rqueue.timing.Timing``.

        Raises:
            ConfigError: a field, a zone or a setting is not allowed, or it never ticks.
        """
        return self._scheduling((expression, None, timing), name, args, kwargs or {})

    def every(
        self,
        period: Seconds,
        /,
        *,
        name: str = "",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **timing: Unpack[Timing],
    ) -> ScheduleDecorator:
        """Run a task again and again: ``@app.every("90s")``; otherwise as ``cron``.

        It ticks at the multiples of the period since 1970, whenever anything was started.
        """
        return self._scheduling((None, period, timing), name, args, kwargs or {})

    def schedules_by_queue(self) -> dict[str, dict[str, DeclaredSchedule]]:
        """What is declared on each queue of which there are tasks here.

        Who declares the tasks of a queue declares its schedules: of a queue without any here, those
        that were are gone; of other queues nothing is said.
        """
        found: dict[str, dict[str, DeclaredSchedule]] = {
            task.declared.queue: {} for task in self.tasks
        }
        for name, one in self.declared_schedules.items():
            found[one.task.declared.queue][name] = one
        return found

    def _scheduling(
        self,
        when: tuple[str | None, Seconds | None, Timing],
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> ScheduleDecorator:
        from rqueue.schedule import Schedule, check
        from rqueue.timing import settings_of

        settings = settings_of(*when)

        def declare(function: Any) -> Any:
            is_task = isinstance(function, Task)
            task = cast("Task[..., Any]", function) if is_task else self._declare(function, {})
            chosen = name or task.name
            if chosen in self.declared_schedules:
                raise ConfigError(
                    f"two schedules are named {chosen!r}: give one of them a name=... of its own"
                )
            queue = task.declared.queue
            check(Schedule(name=chosen, queue=queue, task=task.name, **settings))
            declared = DeclaredSchedule(chosen, task, tuple(args), dict(kwargs), settings)
            declared.call()
            self.declared_schedules[chosen] = declared
            return task

        return cast("ScheduleDecorator", declare)

    def load(self) -> None:
        """Import the modules that declare tasks.

        Raises:
            ConfigError: one cannot be imported.
        """
        for name in self._imports:
            try:
                import_module(name)
            except ImportError as error:
                raise ConfigError(f"App(imports=[{name!r}]): {error}") from error

    def _declare(self, fn: AnyFunction, declared: Declaration) -> Task[..., Any]:
        unknown = set(declared) - set(Declaration.__annotations__)
        if unknown:
            hint = did_you_mean(min(unknown), Declaration.__annotations__)
            raise ConfigError(f"@app.task has no option {min(unknown)!r}{hint}")
        if not (isfunction(fn) or ismethod(fn)):
            raise ConfigError(f"@app.task takes a function written with def, not {fn!r:.80}")
        chosen: dict[str, Any] = dict(declared)
        name = chosen.pop("name", None) or fn.__name__
        for option in ("timeout", "result_ttl", "expires", "deadline"):
            if option in chosen:
                chosen[option] = seconds(chosen[option], option)
        if "durability" in chosen:
            chosen["durability"] = durability_of(chosen["durability"])
        chosen.setdefault("isolation", "loop" if iscoroutinefunction(fn) else "thread")
        task: Task[..., Any] = Task(cast("Enqueuer", self), name, fn, TaskOptions(**chosen))
        self.tasks.add(task)
        return task
