"""The app: configuration, tasks and clients, put together once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec

from rqueue.codec import decode
from rqueue.config import KIB, MAX_PAYLOAD, StoreConfig, check_range, check_url
from rqueue.declaring import Declaring
from rqueue.durability import Durability, Mode, durability_of
from rqueue.errors import ConfigError
from rqueue.handle import Job
from rqueue.ids import lengthen, shorten
from rqueue.names import check_job_id, check_namespace, check_queue
from rqueue.options import Seconds, check_options
from rqueue.protection import PLAIN, Protection, check_protection
from rqueue.remote import options_elsewhere, remote_task
from rqueue.task import Task, TaskCall

# Whoever only declares tasks does not pay for what sends them, runs them and speaks to Redis.
if TYPE_CHECKING:
    from rqueue.client.client import Client
    from rqueue.client.connections import Connections
    from rqueue.client.metered import MeteredClient
    from rqueue.client.traced import TracedClient
    from rqueue.fleet import BlockingWorkers, Workers
    from rqueue.inspector import BlockingInspector, Inspector
    from rqueue.schedules.faces import BlockingSchedules, Schedules
    from rqueue.worker.equipment import Lifespan

P = ParamSpec("P")
R = TypeVar("R")
AnyFunction = Callable[..., Any]

_DEFAULT_URL = "redis://localhost:6379/0"
_LARGEST_PAYLOAD = 16 * KIB * KIB
_CONNECTED = (
    "connections", "client", "schedules", "schedules_sync", "inspector", "inspector_sync",
    "workers", "workers_sync",
)  # fmt: skip
"""What holds on to the Redis that the app had when it was first asked for."""


class App(Declaring):
    """Where tasks are declared and jobs are sent from. An app is not a worker.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``. Nothing is connected before first use.
        namespace: first part of every key; apps that share a Redis and not their jobs differ in it.
        imports: modules that declare tasks, imported when a worker starts.
        max_payload: bytes of an encoded call at the most; producers send, and workers decode,
            nothing larger. Raise it on workers first.
        lifespan: an async context manager that opens a worker's resources; what it yields is
            ``ctx.state``.
        durability: what an enqueue waits for, unless its task or call says otherwise: ``local``,
            ``fsync`` (the disk), ``replicated`` (a replica) or a ``Durability``; see
            ``docs/durability.md``.
        protection: ``Signed(...)`` or ``Encrypted(...)``: keys for calls, results and errors.
    """

    def __init__(  # noqa: PLR0913 - settings, each a keyword of its own
        self,
        url: str = _DEFAULT_URL,
        *,
        namespace: str = "rqueue",
        imports: Sequence[str] = (),
        max_payload: int = MAX_PAYLOAD,
        lifespan: Lifespan | None = None,
        durability: Mode | Durability = "local",
        protection: Protection = PLAIN,
    ) -> None:
        super().__init__(imports)
        check_range(max_payload, "max_payload", 1, _LARGEST_PAYLOAD, whole=True)
        self.store = StoreConfig(
            url=check_url(url),
            namespace=check_namespace(namespace),
            protection=check_protection(protection),
            max_payload=max_payload,
        )
        self.durability = durability_of(durability)
        self.lifespan = lifespan

    def use(self, *, url: str | None = None, namespace: str | None = None) -> None:
        """Another Redis or namespace than declared; before the first job is sent.

        Raises:
            ConfigError: the app is connected already.
        """
        if "connections" in self.__dict__:
            raise ConfigError("the app is connected already: call app.use() before the first job")
        self.store = msgspec.structs.replace(
            self.store,
            url=check_url(url or self.store.url),
            namespace=check_namespace(namespace or self.store.namespace),
        )

    @contextmanager
    def elsewhere(self, store: StoreConfig) -> Generator[None]:
        """For a while this Redis; what is connected to the usual one is left as it is."""
        usual, self.store = self.store, store
        kept = {name: vars(self).pop(name) for name in _CONNECTED if name in vars(self)}
        try:
            yield
        finally:
            self.store = usual
            for name in _CONNECTED:
                vars(self).pop(name, None)
            vars(self).update(kept)

    # Producing

    async def enqueue(self, call: TaskCall[R]) -> Job[R]:
        """Send one call made by ``task.call(...)``."""
        return await self._sender.enqueue(self._hooked(call))

    def enqueue_sync(self, call: TaskCall[R]) -> Job[R]:
        """``enqueue`` for blocking code."""
        return self._sender.enqueue_sync(self._hooked(call))

    async def enqueue_many(
        self, calls: Iterable[TaskCall[R]], *, spread: Seconds = 0
    ) -> list[Job[R]]:
        """Send many calls, one round trip for each 500 of a queue.

        Args:
            calls: made by ``task.call(...)``, of any task.
            spread: over how long they become due, by Redis' clock: the first at once, the last at
                the end, the others evenly between, in the order given. What a call says itself
                (``delay``, ``run_at``) is the time from which its share counts.

        Raises:
            ConfigError: the spread is no duration.
            InvalidArguments, PayloadTooLarge: of any call; none is sent.
            PartlyRefused: Redis refused some; the others are enqueued.
        """
        return await self._sender.enqueue_many([self._hooked(call) for call in calls], spread)

    def enqueue_many_sync(
        self, calls: Iterable[TaskCall[R]], *, spread: Seconds = 0
    ) -> list[Job[R]]:
        """``enqueue_many`` for blocking code."""
        return self._sender.enqueue_many_sync([self._hooked(call) for call in calls], spread)

    def remote(
        self, name: str, queue: str = "default", version: int | None = None
    ) -> Task[..., Any]:
        """A task by name, whose code may be elsewhere; the declared one if it is here.

        Args:
            name: of the task.
            queue: where its jobs go, if it is not here.
            version: of the arguments; as declared here, else 1. With another one than is declared
                here the calls are those of that release, and nothing checks their arguments.
        """
        here = self.tasks.find(name)
        if here is not None and version in (None, here.declared.version):
            return here
        wanted = 1 if version is None else version
        return remote_task(self, name, options_elsewhere(here, check_queue(queue), wanted))

    async def send(self, name: str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Send a job by the task's name: ``await app.send("send_email", "a@b.c")``.

        For options, another queue or version:
        ``app.remote(name, queue=..., version=...).options(...).enqueue(...)``.
        """
        return await self.remote(name).enqueue(*args, **kwargs)

    def send_sync(self, name: str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """``send`` for blocking code."""
        return self.remote(name).enqueue_sync(*args, **kwargs)

    def job(self, job_id: str, queue: str = "default") -> Job[Any]:
        """A handle on a job by its id; asks nothing of Redis."""
        short = shorten(check_job_id(job_id))
        return Job(self.client, check_queue(queue), (lengthen(short), short), "", decode)

    async def run_now(self, call: TaskCall[R]) -> R:
        """Run one call in this process; see ``task.now``."""
        from rqueue.worker.inline import run_now

        return await run_now(self, lambda: self.connections, self._hooked(call))

    # Inside

    @cached_property
    def connections(self) -> Connections:
        """Every connection of this app in this process."""
        from rqueue.client.connections import Connections

        return Connections(self.store)

    @cached_property
    def client(self) -> Client:
        """Who sends and asks."""
        from rqueue.client.client import Client

        return Client(self.store, self.connections, self.observers, self.durability)

    @cached_property
    def schedules(self) -> Schedules:
        """Schedules at run time, for async code."""
        from rqueue.schedules.faces import Schedules

        return Schedules(self.store, self.connections, self.job, self.observers)

    @cached_property
    def schedules_sync(self) -> BlockingSchedules:
        """Schedules at run time, for blocking code."""
        from rqueue.schedules.faces import BlockingSchedules

        return BlockingSchedules(self.store, self.connections, self.job, self.observers)

    @cached_property
    def inspector(self) -> Inspector:
        """Operations on queues, for async code."""
        from rqueue.inspector import Inspector

        return Inspector(self.store, self.connections)

    @cached_property
    def inspector_sync(self) -> BlockingInspector:
        """Operations on queues, for blocking code."""
        from rqueue.inspector import BlockingInspector

        return BlockingInspector(self.store, self.connections)

    @cached_property
    def workers(self) -> Workers:
        """The workers that are there, for async code."""
        from rqueue.fleet import Workers

        return Workers(self.store, self.connections)

    @cached_property
    def workers_sync(self) -> BlockingWorkers:
        """The workers that are there, for blocking code."""
        from rqueue.fleet import BlockingWorkers

        return BlockingWorkers(self.store, self.connections)

    async def close(self) -> None:
        """Hang up in the running loop, and in blocking code; if cancelled, call it again."""
        await self.connections.close()

    def close_sync(self) -> None:
        """Hang up in blocking code."""
        self.connections.close_sync()

    @property
    def _sender(self) -> Client | TracedClient | MeteredClient:
        client, tracing, meter = self.client, self.observers.tracing, self.observers.meter
        if tracing is not None:
            from rqueue.client.traced import TracedClient

            client = TracedClient(client, tracing, self.store.url)
        if meter is not None:
            from rqueue.client.metered import MeteredClient

            client = MeteredClient(client, meter)
        return client

    def _hooked(self, call: TaskCall[R]) -> TaskCall[R]:
        if not self._hooks:
            return call
        changed = msgspec.structs.replace(call, kwargs=dict(call.kwargs))
        for hook in self._hooks:
            changed = hook(changed)
            if not isinstance(changed, TaskCall):  # pyright: ignore[reportUnnecessaryIsInstance] - a hook is a user's
                what = "None" if changed is None else f"a {type(changed).__name__}"
                raise ConfigError(
                    f"the before_enqueue hook {hook.__qualname__!r} returned {what}; it must "
                    "return the call, changed or not"
                )
        if changed.options is not call.options:
            check_options(changed.options)
        is_renamed = changed.task != call.task
        if changed.args is call.args and changed.kwargs == call.kwargs and not is_renamed:
            return changed
        task = self.remote(changed.task, version=None if is_renamed else call.defaults.version)
        defaults = msgspec.structs.replace(changed.defaults, version=task.declared.version)
        args, kwargs = task.signature.bind(changed.args, changed.kwargs)
        encoded = task.signature.encode(args, kwargs)
        hidden = task.signature.hidden.places(len(args), kwargs)
        return msgspec.structs.replace(
            changed, args=args, kwargs=kwargs, encoded=encoded, hidden=hidden, defaults=defaults
        )
