"""One call run in the caller's own process: ``task.now``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from rqueue.client.building import Built, build
from rqueue.client.connections import Connections
from rqueue.client.endings import result_of
from rqueue.context import at_work
from rqueue.errors import Conflict
from rqueue.job import Delivery, JobState
from rqueue.outcome import Bury, Cancel, Complete, DeadReason, Expire, Outcome, Park, TryAgain
from rqueue.protection import PLAIN, Protection
from rqueue.store.call import Arg, Call
from rqueue.store.calls.jobs import Ending, NewJob, record
from rqueue.store.keys import Field, QueueKeys, queue_keys
from rqueue.store.pieces import pieces_of
from rqueue.task import TaskCall
from rqueue.worker.equipment import Equipment
from rqueue.worker.executor import Executor
from rqueue.worker.prepared import Refused
from rqueue.worker.protecting import protected
from rqueue.worker.runners import Runners
from rqueue.worker.settling import Ran, kept_ms, settlement

R = TypeVar("R")
_HERE = "here"


async def run_now(app: Equipment, connect: Callable[[], Connections], call: TaskCall[R]) -> R:
    """Run one call, leave a record of it if its options say so, and return what it returned.

    Args:
        app: whose task it is.
        connect: leads to where a record is left; only asked for that.
        call: what to run.

    Raises:
        Conflict: a record was to be left, and one of this id is there.
        ResultError: it did not succeed.
    """
    built = build(call, app.store.max_payload, app.store.protection)
    ran, outcome = await _run(app, built)
    if call.options.get("record"):
        keys = queue_keys(app.store.namespace, built.queue)
        connections = connect()
        await connections.announce(built.queue)
        trip = _recording(keys, built.job, ran, outcome, app.store.protection)
        if await connections.here().transport.send(trip) in ("conflict", "duplicate"):
            raise Conflict(built.job_id, built.queue)
    return call.decode(result_of(_ending_of(outcome), built.job_id, built.queue))


async def _run(equipment: Equipment, built: Built) -> tuple[Ran, Outcome]:
    """Run a built call once: the same decode, middleware, timeout and endings as in a worker."""
    delivery = Delivery(
        queue=built.queue,
        lane=_HERE,
        entry_id="",
        job_id=built.job.id,
        envelope=built.job.envelope,
        worker=_HERE,
        priority=built.job.priority,
    )
    runners = Runners(threads=1, processes=1)
    executor = Executor(
        equipment.tasks, equipment.middlewares, runners, equipment.observers,
        equipment.store,
    )  # fmt: skip
    around = at_work.set(at_work.get())  # of the handler that calls this, if one does
    try:
        async with contextlib.AsyncExitStack() as stack:
            if equipment.lifespan is not None:
                executor.state = await stack.enter_async_context(equipment.lifespan())
            prepared = executor.prepare(delivery)
            if isinstance(prepared, Refused):
                return prepared.ran, prepared.outcome
            return prepared.ran, await executor.run(prepared, asyncio.current_task())
    finally:
        at_work.reset(around)
        executor.close()
        runners.close()


def _ending_of(outcome: Outcome) -> Ending:
    """An outcome as its producer sees it; there is no next attempt, so a failure is the end."""
    ending = Ending(JobState.CANCELLED, None, "it asked to run later")
    match outcome:
        case Complete():
            ending = Ending(JobState.SUCCEEDED, outcome.result)
        case Bury():
            ending = Ending(JobState.DEAD, None, outcome.reason, outcome.error)
        case TryAgain():
            ending = Ending(JobState.DEAD, None, DeadReason.FAILED, outcome.error)
        case Park():
            ending = Ending(JobState.DEAD, None, outcome.reason, outcome.error)
        case Cancel():
            ending = Ending(JobState.CANCELLED, None, outcome.reason)
        case Expire():
            ending = Ending(JobState.EXPIRED)
        case _:  # a snooze
            return ending
    return ending


def _recording(
    keys: QueueKeys, job: NewJob, ran: Ran, outcome: Outcome, protection: Protection = PLAIN
) -> Call[str]:
    """The trip that leaves a record of it."""
    ending = _ending_of(outcome)
    told = settlement(ran, protected(outcome, ran.delivery, protection))
    fields: list[Arg] = list(told.fields)
    if ending.reason:
        fields += [Field.REASON, ending.reason]
    if ending.state == JobState.DEAD:
        fields += [*pieces_of(ran.delivery.envelope), Field.PRIORITY, ran.delivery.priority]
    return record(keys, job, str(ending.state), kept_ms(job.id, ran.result_ttl_s), fields)
