"""Running a function: on the loop, in a thread, or in a process that can be killed."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import msgspec

from rqueue.clock import now_ms
from rqueue.codec import encode_error
from rqueue.context import Context, at_work
from rqueue.envelope import OpenedEnvelope
from rqueue.errors import AttemptTimeout, CodecError
from rqueue.job import AttemptError
from rqueue.logs import for_children
from rqueue.middleware import Next
from rqueue.signature import Bound
from rqueue.task import Task
from rqueue.tracing import safely
from rqueue.veiled import Veiled
from rqueue.worker.decision import Raised, inspect
from rqueue.worker.forks import OneProcess

if TYPE_CHECKING:
    from pebble import ProcessPool

AnyTask = Task[Any, Any]

_MESSAGE_CAP = 4_096
_PARENT_LOOK_S = 0.2

logger = logging.getLogger("rqueue")


class RaisedInChildError(Exception):
    """A handler raised in a child process; only its description came back."""

    def __init__(self, raised: Raised) -> None:
        super().__init__(raised.error.message)
        self.raised = raised


class RaisedExitError(Exception):
    """A handler raised ``SystemExit`` or ``KeyboardInterrupt``, and a middleware stands around it.

    If that runs the call as an asyncio task (``wait_for`` does, before Python 3.12), either of the
    two themselves would end the event loop, and with it the worker.
    """

    def __init__(self, raised: BaseException) -> None:
        super().__init__(repr(raised))
        self.raised = raised


class UnfitResultError(Exception):
    """What a handler returned in a child process does not fit its annotation."""


def without_exits(call: Next) -> Next:
    """The same call, which raises ``RaisedExitError`` for what would end the event loop."""

    async def guarded(ctx: Context[Any]) -> object:
        try:
            return await call(ctx)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RaisedExitError(error) from error

    return guarded


class EncodedResult(msgspec.Struct, frozen=True):
    """A result that a child process has checked and encoded already."""

    data: bytes


class ChildCall(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """What a child process is told; plain data only."""

    veiled = ("args", "kwargs", "secrets", "url")

    module: str
    name: str
    url: str
    namespace: str
    args: bytes
    kwargs: bytes
    is_json: bool
    hidden: list[int | str]
    secrets: tuple[Any, ...]
    context: dict[str, Any]
    trace: dict[str, str]


class Runners:
    """The three ways, with their pools; the pools are made when first needed.

    Args:
        threads: threads at the most.
        processes: child processes at the most; 0 = one for each core.
    """

    def __init__(self, threads: int, processes: int) -> None:
        self._threads = threads
        self._processes = processes or os.cpu_count() or 1
        self._thread_pool: ThreadPoolExecutor | None = None
        self._process_pool: ProcessPool | None = None
        self.stuck: set[asyncio.Future[object]] = set()
        """Threads that run on though their time is over, or their job was given back."""

    def in_thread(self, task: AnyTask, ctx: Context[Any], bound: Bound) -> asyncio.Future[object]:
        """Start a sync task in a thread. A future, not a task: one would let SystemExit through."""
        args, kwargs = with_context(task, ctx, bound)
        if self._thread_pool is None:
            self._thread_pool = ThreadPoolExecutor(self._threads, "rqueue")
        variables = contextvars.copy_context()

        def call() -> object:
            try:
                with OneProcess():
                    return variables.run(task.fn, *args, **kwargs)
            except StopIteration as error:  # no future can carry one; coroutines do the same
                raise RuntimeError("the task raised StopIteration") from error

        return asyncio.get_running_loop().run_in_executor(self._thread_pool, call)

    def outlasts(self, work: asyncio.Future[object]) -> None:
        """A thread goes on that should have ended: it cannot be stopped."""
        if not work.done():
            self.stuck.add(work)
            work.add_done_callback(self.stuck.discard)

    async def in_process(self, call: ChildCall, timeout: float) -> EncodedResult:
        """Run a task in a child process, which is killed when time is over or we are cancelled.

        Raises:
            RaisedInChildError: the handler raised.
            AttemptTimeout: the child was killed for taking too long.
            ChildProcessError: the child died by itself; says how.
        """
        from pebble import ProcessExpired  # noqa: PLC0415 - only workers with such tasks pay

        future = self._pool().schedule(run_in_child, args=[call], timeout=timeout)
        try:
            kind, data = await asyncio.wrap_future(future)
        except TimeoutError:
            raise AttemptTimeout(timeout) from None
        except ProcessExpired as error:
            raise ChildProcessError(_obituary(error)) from None
        if kind == "raised":
            raise RaisedInChildError(msgspec.msgpack.decode(data, type=Raised))
        if kind == "unfit":
            raise UnfitResultError(data.decode())
        return EncodedResult(data)

    def close(self) -> None:
        """Kill the child processes; threads cannot be killed, those that still run go on."""
        if self._process_pool is not None:
            self._process_pool.stop()
            self._process_pool.join()
        if self._thread_pool is not None:
            self._thread_pool.shutdown(wait=False, cancel_futures=True)

    def _pool(self) -> ProcessPool:
        if self._process_pool is None:
            import multiprocessing  # noqa: PLC0415 - only workers with such tasks pay

            from pebble import ProcessPool  # noqa: PLC0415 - likewise

            # Not fork: the heartbeat thread may hold a lock at that moment, for ever in the child.
            self._process_pool = ProcessPool(
                max_workers=self._processes,
                context=multiprocessing.get_context("spawn"),
                initializer=prepare_child,
                initargs=[os.getpid(), for_children()],
            )
        return self._process_pool


def with_context(task: AnyTask, ctx: Context[Any], bound: Bound) -> Bound:
    """What the function is called with: the context first, if it takes one."""
    args, kwargs = bound
    return ((ctx, *args) if task.signature.takes_context else args), kwargs


def child_call(task: AnyTask, ctx: Context[Any], opened: OpenedEnvelope) -> ChildCall:
    """What a child process needs to run this job."""
    envelope = opened.envelope
    names = ("job_id", "queue", "task", "attempt", "max_attempts", "crashes")
    context = {name: getattr(ctx, name) for name in (*names, "fencing_token", "worker")}
    tracing = task.app.observers.tracing
    return ChildCall(
        module=task.fn.__module__,
        name=task.fn.__qualname__,
        url=task.app.store.url,
        namespace=task.app.store.namespace,
        args=bytes(envelope.args),
        kwargs=bytes(envelope.kwargs),
        is_json=opened.is_json,
        hidden=envelope.hidden,
        secrets=opened.secrets,
        context={**context, "headers": dict(ctx.headers)},
        trace={} if tracing is None else safely(tracing.carried) or {},
    )


class Alone(msgspec.Struct, frozen=True):
    """The job of a child process, which runs one at a time."""

    ctx: Context[Any]


def prepare_child(parent: int, logging_as_parent: Sequence[Callable[[], None]] = ()) -> None:
    """In the child: log as the parent, end with it, and leave Ctrl-C to it.

    A child that outlived its worker would go on with a job that runs elsewhere, and nobody would
    end it when its time is over.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for set_up in logging_as_parent:
        set_up()
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_LOOK_S)
    os._exit(1)


def run_in_child(call: ChildCall) -> tuple[str, bytes]:
    """In the child: run, and answer with bytes only."""
    task = _find(call)
    ctx: Context[Any] = Context(**call.context, state=None)
    try:
        if (task.app.store.url, task.app.store.namespace) != (call.url, call.namespace):
            task.app.use(url=call.url, namespace=call.namespace)  # where its worker works
        bound = task.signature.decode(call.args, call.kwargs, is_json=call.is_json)
        args, kwargs = with_context(task, ctx, bound)
        at_work.set(Alone(ctx))
        _enter(task, call)
        value = task.fn(*args, **kwargs)
    except BaseException as error:  # SystemExit of a handler is a failure, not our exit
        # Here, not in the worker: texts are cut before they travel, secrets in them as well.
        encoded = (call.args, call.kwargs)
        redact = task.signature.redactor(
            encoded, call.hidden, is_json=call.is_json, secrets=call.secrets
        )
        retry, who = task.declared.retry, ctx.worker
        raised = inspect(error, retry, attempt=ctx.attempt, worker=who, redact=redact)
        return "raised", msgspec.msgpack.encode(raised)
    try:
        return "result", task.signature.encode_result(value)
    except CodecError as error:
        return "unfit", str(error).encode("utf-8", "replace")


def _enter(task: AnyTask, call: ChildCall) -> None:
    """What it runs belongs to the trace of its worker, if it is traced here as well."""
    tracing = task.app.observers.tracing
    if tracing is not None:
        safely(lambda: tracing.enter(call.trace))


def _find(call: ChildCall) -> AnyTask:
    found: Any = sys.modules.get("__mp_main__") if call.module == "__main__" else None
    found = found or import_module(call.module)
    for part in call.name.split("."):
        found = getattr(found, part)
    return cast("AnyTask", found)


def _obituary(error: Any) -> str:
    code = int(getattr(error, "exitcode", 0) or 0)
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        return f"the child process was ended by {name}{hint}"
    return f"the child process exited with status {code}"


def encoded_error(attempt: int, kind: str, message: str, worker: str) -> bytes:
    """An attempt error of rqueue's own, without an exception."""
    told = message[:_MESSAGE_CAP]
    error = AttemptError(attempt=attempt, type=kind, message=told, at=now_ms(), worker=worker)
    return encode_error(error)
