"""The executor: delivery -> outcome. Never touches Redis."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from rqueue.clock import now_ms
from rqueue.codec import encode_error
from rqueue.config import KIB, StoreConfig
from rqueue.context import Context, at_work
from rqueue.envelope import OpenedEnvelope
from rqueue.errors import AttemptTimeout, CodecError, ConfigError
from rqueue.events import JobStarted, Observers
from rqueue.job import Delivery
from rqueue.middleware import Middleware, Next, compose
from rqueue.outcome import Bury, Complete, DeadReason, Outcome
from rqueue.protection import PLAIN
from rqueue.redaction import Redact
from rqueue.registry import TaskRegistry
from rqueue.worker.deadlines import Deadline, Deadlines
from rqueue.worker.decision import Raised, decide, inspect
from rqueue.worker.forks import OneProcess
from rqueue.worker.lateness import age_s, left_s, too_late, too_late_to_retry
from rqueue.worker.lifting import lift, lifted_from, parked
from rqueue.worker.prepared import Prepared, Refused
from rqueue.worker.protecting import open_call, protected
from rqueue.worker.runners import (
    AnyTask,
    EncodedResult,
    RaisedExitError,
    RaisedInChildError,
    Runners,
    UnfitResultError,
    child_call,
    encoded_error,
    with_context,
    without_exits,
)
from rqueue.worker.settling import Ran

logger = logging.getLogger("rqueue")

LARGEST_RESULT = 16 * KIB * KIB
"""Bytes of an encoded result: more belongs into a store of its own, and a reference here."""


class Executor:
    """Runs deliveries through middleware, timeout and policy.

    Args:
        tasks: what can be run.
        middlewares: the first is the outermost.
        runners: where functions run.
        observers: who hears of started jobs.
        store: how calls are opened, and how what comes of them is protected.

    Attributes:
        state: what the lifespan yielded.
        url: of the Redis whose jobs it runs.
        protects: whether outcomes do not go to Redis as they are.
    """

    def __init__(
        self,
        tasks: TaskRegistry,
        middlewares: list[Middleware],
        runners: Runners,
        observers: Observers,
        store: StoreConfig,
    ) -> None:
        self._tasks = tasks
        self._middlewares = middlewares
        self._runners = runners
        self._observers = observers
        self._store = store
        self.url = store.url
        self._deadlines = Deadlines()
        self.protects = store.protection is not PLAIN
        self.state: Any = None

    def prepare(self, delivery: Delivery) -> Prepared | Refused:
        """Find the task, decode the arguments; hostile bytes end here, in the dead set."""
        ran = Ran(delivery=delivery)
        opened = open_call(delivery, self._store)
        if isinstance(opened, Outcome):
            return Refused(ran, opened)
        envelope = opened.envelope
        ran.envelope = envelope
        late = too_late(envelope, delivery) if envelope.expires or envelope.deadline else None
        if late is not None:
            return Refused(ran, late)
        task = self._tasks.find(envelope.task)
        if task is None or envelope.version > task.declared.version:
            return Refused(ran, parked(delivery, envelope, task))
        if envelope.version < task.declared.version:
            lifted = lift(task, opened, delivery)
            if isinstance(lifted, Outcome):
                return Refused(ran, lifted)
            opened, envelope = lifted, lifted.envelope
        try:
            bound = task.signature.decode(envelope.args, envelope.kwargs, is_json=opened.is_json)
            retry = task.declared.retry
            if envelope.retry is not None:
                retry = retry.with_numbers(envelope.retry)
        except (CodecError, ConfigError) as error:
            text = lifted_from(ran.envelope, task) + _redactor(task, opened)(str(error))
            told = encoded_error(delivery.attempts + 1, "InvalidArguments", text, delivery.worker)
            return Refused(ran, Bury(reason=DeadReason.ARGUMENTS, error=told, attempted=False))
        ttl = envelope.result_ttl
        ran.result_ttl_s = ttl if ttl >= 0 else task.declared.result_ttl
        job = Prepared(task, opened, bound, retry, ran)
        job.state = self.state
        return job

    async def run(self, job: Prepared, work: asyncio.Task[Any] | None) -> Outcome:
        """Run the handler once, within this asyncio task of the caller; every ending is an outcome.

        Raises:
            asyncio.CancelledError: somebody cancelled this attempt from outside.
        """
        envelope, until = job.opened.envelope, job.retry.until
        is_bounded = envelope.deadline or envelope.expires or until is not None
        late = self._cut(job) if is_bounded else None
        if late is not None:
            return late
        ran = job.ran
        ran.begun_ms = now_ms()
        at_work.set(job)  # for as long as this attempt's own asyncio task
        if self._observers.all:
            self._observers.emit(
                JobStarted(
                    queue=ran.delivery.queue,
                    job_id=job.ctx.job_id,
                    task=job.task.name,
                    attempt=job.attempt,
                    worker=ran.delivery.worker,
                )
            )
        try:
            value = await (self._in_loop(job, work) if job.task.is_async else self._elsewhere(job))
        except asyncio.CancelledError as error:
            if work is not None and work.cancelling():
                raise
            return self._failed(job, error)
        except RaisedInChildError as error:
            return self._decide(job, error.raised)
        except UnfitResultError as error:
            return self._unfit(job, error)
        except BaseException as error:  # SystemExit of a handler is a failure, not our exit
            return self._failed(job, error)
        return self._complete(job, value)

    def close(self) -> None:
        """Nothing runs any more."""
        self._deadlines.close()

    def protected(self, ran: Ran, outcome: Outcome) -> Outcome:
        """An outcome as it goes to Redis."""
        return protected(outcome, ran.delivery, self._store.protection)

    async def _in_loop(self, job: Prepared, work: asyncio.Task[Any] | None) -> object:
        try:
            with Deadline(self._deadlines, job.timeout, work):
                if self._middlewares:
                    return await self._wrapped(job, partial(self._awaited, job))
                if job.task.signature.takes_context:
                    return await self._awaited(job, job.ctx)
                args, kwargs = job.bound
                with OneProcess():
                    return await job.task.fn(*args, **kwargs)
        finally:
            job.request_stop()

    async def _awaited(self, job: Prepared, ctx: Context[Any]) -> object:
        args, kwargs = with_context(job.task, ctx, job.bound)
        with OneProcess():
            return await job.task.fn(*args, **kwargs)

    async def _elsewhere(self, job: Prepared) -> object:
        if job.task.declared.isolation == "thread":
            return await self._wrapped(job, partial(self._in_thread, job))
        return await self._wrapped(job, partial(self._in_process, job))

    async def _in_process(self, job: Prepared, ctx: Context[Any]) -> object:
        call = child_call(job.task, ctx, job.opened)
        return await self._runners.in_process(call, job.timeout)

    async def _wrapped(self, job: Prepared, innermost: Next) -> object:
        around = self._middlewares
        call = compose(around, without_exits(innermost)) if around else innermost
        return await call(job.ctx)

    async def _in_thread(self, job: Prepared, ctx: Context[Any]) -> object:
        """A thread cannot be stopped: the slot and the outcome are held until it returns.

        Otherwise the retry would overlap with the attempt it replaces, on a live worker.
        """
        work = job.thread = self._runners.in_thread(job.task, ctx, job.bound)
        try:
            done, _ = await asyncio.wait({work}, timeout=job.timeout)
            if done:
                return work.result()
            ctx.request_stop()
            self._runners.outlasts(work)
            logger.warning(
                "task=%s job=%s timed out in a thread, which cannot be stopped; its slot is held "
                "until it returns (isolation='process' can be killed)", job.task.name, ctx.job_id,
            )  # fmt: skip
            await asyncio.wait({work})
        except asyncio.CancelledError:
            ctx.request_stop()
            self._runners.outlasts(work)
            work.add_done_callback(_swallow)
            raise
        _swallow(work)
        raise AttemptTimeout(job.timeout)

    def _complete(self, job: Prepared, value: object) -> Outcome:
        try:
            is_encoded = isinstance(value, EncodedResult)
            data = value.data if is_encoded else job.task.signature.encode_result(value)
        except CodecError as error:
            return self._unfit(job, error)
        if len(data) > LARGEST_RESULT:
            told = f"the result takes {len(data):,} bytes; at most {LARGEST_RESULT:,} are kept"
            return self._unfit(job, CodecError(told))
        return Complete(result=data)

    def _unfit(self, job: Prepared, error: Exception) -> Outcome:
        text = _redactor(job.task, job.opened)(str(error))
        told = encoded_error(job.attempt, "ResultError", text, job.ran.delivery.worker)
        return Bury(reason=DeadReason.RESULT, error=told)

    def _cut(self, job: Prepared) -> Outcome | None:
        """Bound an attempt by its job's deadline, unless it must not begin at all.

        That is judged again: a job of the lane ``last`` may have waited for the others.
        """
        envelope, delivery = job.opened.envelope, job.ran.delivery
        late = too_late(envelope, delivery) or too_late_to_retry(envelope, delivery, job.retry)
        job.cut(left_s(envelope))
        return late

    def _failed(self, job: Prepared, error: BaseException) -> Outcome:
        if job.is_cut and isinstance(error, AttemptTimeout):
            over = AttemptTimeout(job.timeout, is_deadline=True).with_traceback(error.__traceback__)
            told = encode_error(self._inspect(job, over).error)
            return Bury(reason=DeadReason.DEADLINE, error=told)
        return self._decide(job, self._inspect(job, error))

    def _inspect(self, job: Prepared, error: BaseException) -> Raised:
        redact = _redactor(job.task, job.opened)
        worker = job.ran.delivery.worker
        error = error.raised if isinstance(error, RaisedExitError) else error
        return inspect(error, job.retry, attempt=job.attempt, worker=worker, redact=redact)

    def _decide(self, job: Prepared, raised: Raised) -> Outcome:
        envelope = job.opened.envelope
        age, left = age_s(envelope, job.ran.delivery), left_s(envelope)
        return decide(raised, job.retry, attempt=job.attempt, age_s=age, left_s=left)


def _redactor(task: AnyTask, opened: OpenedEnvelope) -> Redact:
    envelope = opened.envelope
    encoded = (envelope.args, envelope.kwargs)
    return task.signature.redactor(
        encoded, envelope.hidden, is_json=opened.is_json, secrets=opened.secrets
    )


def _swallow(work: asyncio.Future[object]) -> None:
    """Take a result nobody waits for any more, so that asyncio does not complain."""
    if not work.cancelled():
        work.exception()
