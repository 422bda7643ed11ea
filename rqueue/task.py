"""A task: a function declared for later, and the calls that are made of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, Protocol, TypeVar, Unpack

import msgspec

from rqueue.errors import ConfigError
from rqueue.events import Observers
from rqueue.handle import Job
from rqueue.ids import new_ids, shorten
from rqueue.names import check_task, wrong_unique
from rqueue.options import CallOptions, TaskOptions, check_options
from rqueue.sensitive import Place
from rqueue.signature import Signature
from rqueue.upgrade import Lifted, Upgrades
from rqueue.veiled import Veiled

if TYPE_CHECKING:
    from rqueue.config import StoreConfig

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
U = TypeVar("U", bound=Callable[..., Lifted])


class TaskCall(Veiled, msgspec.Struct, Generic[R_co], frozen=True, kw_only=True):
    """One call, bound and checked, not yet sent: ``task.call(...)``.

    Attributes:
        task: the task's name.
        job_id: the job's id; sending the same call again is safe, it makes no second job.
        ids: the id that it was made with, and that as it stands in Redis.
        args: positional arguments in canonical order.
        kwargs: keyword arguments.
        encoded: the two, encoded.
        options: this call's own settings.
        defaults: its task's settings.
        decode: an encoded result as the task's return type.
        hidden: positions and names of the arguments that must not be shown.
    """

    veiled = ("args", "kwargs", "encoded")

    task: str
    job_id: str
    ids: tuple[str, str]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    encoded: tuple[bytes, bytes]
    options: CallOptions
    defaults: TaskOptions
    decode: Callable[[bytes], R_co]
    hidden: tuple[Place, ...] = ()

    def __repr__(self) -> str:
        """Task and id; not the arguments, which may be sensitive."""
        return f"<TaskCall {self.task} job={self.job_id}>"


class Enqueuer(Protocol):
    """What a task asks of its app.

    Attributes:
        store: how Redis is reached.
        observers: who hears of its jobs, and follows them.
    """

    store: StoreConfig
    observers: Observers

    def use(self, *, url: str | None = None, namespace: str | None = None) -> None:
        """Another Redis or namespace than declared."""
        ...

    async def enqueue(self, call: TaskCall[R]) -> Job[R]:
        """Send one call."""
        ...

    def enqueue_sync(self, call: TaskCall[R]) -> Job[R]:
        """Send one call."""
        ...

    async def run_now(self, call: TaskCall[R]) -> R:
        """Run one call in this process."""
        ...


class Task(Generic[P, R]):
    """A function that workers run. Made by ``@app.task``.

    Attributes:
        app: who declared it.
        name: how jobs name it.
        fn: the function itself.
        declared: its settings.
        signature: its parameters and result as a codec.
        upgrades: what lifts calls of older versions.
        is_async: whether ``fn`` is a coroutine function.
    """

    def __init__(
        self,
        app: Enqueuer,
        name: str,
        fn: Callable[..., Any],
        options: TaskOptions,
        signature: Signature | None = None,
    ) -> None:
        self.name = check_task(name)
        self.fn = fn
        self.declared = options
        self.signature = signature or Signature(fn)
        self.upgrades = Upgrades(name, options.version)
        self.is_async = inspect.iscoroutinefunction(fn)
        self.app = app
        self._chosen: CallOptions = {}
        self.__doc__ = fn.__doc__
        if self.is_async != (options.isolation == "loop"):
            kind = "async" if self.is_async else "sync"
            message = f"task {name!r} is {kind}; isolation={options.isolation!r} does not fit it"
            raise ConfigError(message)

    if not TYPE_CHECKING:  # to type checkers a task is not callable, and a call of it is red

        def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
            """Refuse; which of the ways to run it is meant must be said."""
            raise TypeError(
                f"the task {self.name!r} is not called itself: use .enqueue(...) to send a job, "
                ".now(...) to run it here as a worker would, or .fn(...) for the bare function"
            )

    def options(self, **chosen: Unpack[CallOptions]) -> Task[P, R]:
        """This task with one call's own settings: ``task.options(delay=60).enqueue(...)``.

        Raises:
            ConfigError: a value is not allowed.
        """
        together: CallOptions = {**self._chosen, **chosen}
        check_options(together)
        made: Task[P, R] = object.__new__(type(self))
        made.__dict__ = {**self.__dict__, "_chosen": together}
        return made

    def upgrade(self, version: int) -> Callable[[U], U]:
        """Lift calls of an older version to the next one: ``@charge.upgrade(1)``.

        The function has the parameters that the task had in that version (what they are annotated
        with, they are decoded as), and returns the arguments of the next: a dict by name, a tuple
        by position, or ``Arguments`` for both. It may raise ``Discard``; whatever else it raises
        leaves the job dead, with its call as it came.

        Raises:
            ConfigError: the version is not an older one, is lifted already, or the function is no
                plain one.
        """

        def register(fn: U) -> U:
            self.upgrades.add(version, fn)
            return fn

        return register

    def call(self, *args: P.args, **kwargs: P.kwargs) -> TaskCall[R]:
        """A call bound and checked, to be sent by ``app.enqueue`` or ``app.enqueue_many``.

        It has its id already: one call is one job, however often it is sent.

        Raises:
            InvalidArguments: the arguments do not fit the task, or cannot be encoded.
        """
        placed, named = self.signature.bind(args, kwargs)
        chosen_id, unique = self._chosen.get("job_id"), self.declared.unique
        ids = (chosen_id, shorten(chosen_id)) if chosen_id else new_ids()
        return TaskCall(
            task=self.name,
            job_id=ids[0],
            ids=ids,
            args=placed,
            kwargs=named,
            encoded=self.signature.encode(placed, named),
            options=self._with_unique(unique, args, kwargs) if unique else self._chosen,
            defaults=self.declared,
            decode=self.signature.decode_result,
            hidden=self.signature.hidden.places(len(placed), named),
        )

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Send a job.

        Raises:
            InvalidArguments: the arguments do not fit the task, or cannot be encoded.
            PayloadTooLarge: they are above the app's limit.
            Conflict: the chosen job id is taken by another call.
            StoreUnavailable: Redis did not answer; sending the same id again is safe.
            StoreFull: Redis is out of memory.
            NotDurable: it may exist, but is not as durable as wished; sending the same id again
                is safe.
            ConfigError: this server cannot promise the durability wished; nothing was written.
        """
        return await self.app.enqueue(self.call(*args, **kwargs))

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """``enqueue`` for blocking code."""
        return self.app.enqueue_sync(self.call(*args, **kwargs))

    async def now(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call in this process, once, the way a worker would.

        Same encoding, decoding, middleware, timeout and endings; no queue. With
        ``.options(record=True)`` it leaves a record like any job.

        Raises:
            JobFailed: the attempt failed, whatever attempts the task would have left.
            JobCancelled: the task raised ``Discard``.
        """
        return await self.app.run_now(self.call(*args, **kwargs))

    def _with_unique(
        self, unique: Callable[..., str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> CallOptions:
        if "unique" in self._chosen:
            return self._chosen
        key = unique(*args, **kwargs)
        problem = wrong_unique(key)
        if problem:
            raise ConfigError(self.signature.hidden.of(args, kwargs)(problem))
        return {**self._chosen, "unique": key}

    def __repr__(self) -> str:
        """Name and queue."""
        return f"<Task {self.name} queue={self.declared.queue}>"
