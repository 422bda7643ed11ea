"""The jobs in this worker's hands: from the entry's receipt until Redis has answered its end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from rqueue.clock import monotonic
from rqueue.events import Observers
from rqueue.ids import lengthen
from rqueue.job import Delivery
from rqueue.outcome import Complete, Outcome, Release
from rqueue.tracing import Processing
from rqueue.worker.attempt import ATTEMPT, Attempt, Place, outcome_of_stop
from rqueue.worker.executor import Executor
from rqueue.worker.finisher import GIVEN_UP, Finisher
from rqueue.worker.lease import QueueLease
from rqueue.worker.prepared import Prepared, Refused
from rqueue.worker.recorder import Recorder
from rqueue.worker.settling import Ran, settlement
from rqueue.worker.slots import Slots
from rqueue.worker.spans import begin, end, refused
from rqueue.worker.telling import is_heard, tell
from rqueue.worker.unsettled import TURNED, Ending, Unsettled

logger = logging.getLogger("rqueue")


class Running:
    """Starts attempts, stops them, sees their outcomes written.

    Args:
        executor: runs them.
        finisher: writes what came of them.
        slots: one is taken for each.
        observers: who hears of finished attempts.
        on_fenced: called when Redis says that a lease is gone.
        recorder: counts what becomes of them.
    """

    def __init__(
        self,
        executor: Executor,
        finisher: Finisher,
        slots: Slots,
        observers: Observers,
        on_fenced: Callable[[QueueLease], None],
        recorder: Recorder,
    ) -> None:
        self._recorder = recorder
        self._executor = executor
        self._finisher = finisher
        self.slots = slots
        self._observers = observers
        self.on_fenced = on_fenced
        self._attempts: dict[Place, Attempt] = {}
        self._fewer = asyncio.Event()
        self._watchers = 0
        self.unsettled = Unsettled()
        self._settling: set[Place] = set()

    def places(self) -> set[Place]:
        """Where the entries in hand stand, and those whose end could not be written.

        The latter are not run again: their endings are written when the key is repaired.
        """
        return self._attempts.keys() | self.unsettled.endings.keys()

    def holds(self, delivery: Delivery) -> bool:
        """Whether this very entry is in hand already."""
        place = delivery.queue, delivery.lane, delivery.entry_id
        return place in self._attempts or place in self.unsettled.endings

    def settle_again(self) -> None:
        """Try to write the endings that could not be written; the key may have been repaired."""
        for one in [] if self._settling else self.unsettled.all():
            self._settling.add(one.attempt.place)
            try:
                self._write(one)
            except Exception:
                logger.exception("the end of job=%s", lengthen(one.attempt.delivery.job_id))
                self._settling.discard(one.attempt.place)

    def attempts(self) -> list[Attempt]:
        """Those in hand; any thread may ask."""
        return list(self._attempts.values())

    def __len__(self) -> int:
        """Attempts in hand."""
        return len(self._attempts)

    def start(
        self, delivery: Delivery, lease: QueueLease, go: asyncio.Event | None = None
    ) -> Attempt:
        """Run a delivery in a slot of its own; not before ``go`` is set, if that is given."""
        self.slots.take(delivery.lane)
        attempt = Attempt(delivery, lease, holds_slot=True)
        attempt.go = go
        self._attempts[attempt.place] = attempt
        _start(self._run(attempt), attempt)
        return attempt

    def give_back(self, delivery: Delivery, lease: QueueLease) -> None:
        """Return a delivery unrun, at once."""
        attempt = Attempt(delivery, lease, holds_slot=False)
        self._attempts[attempt.place] = attempt
        self._write(Ending(attempt, Ran(delivery=delivery), Release(), 0.0))

    def stop_job(self, queue: str, job_id: str) -> None:
        """Somebody cancelled this job."""
        for attempt in list(self._attempts.values()):
            if (attempt.delivery.queue, attempt.delivery.job_id) == (queue, job_id):
                attempt.stop("cancel")

    def stop_queue(self, lease: QueueLease) -> int:
        """The lease is gone: what runs under it belongs to others; returns how many."""
        under = [one for one in self._attempts.values() if one.lease is lease]
        for attempt in under:
            attempt.stop("fenced")
        return len(under)

    def stop_all(self) -> int:
        """The worker stops now: everything goes back; returns how many."""
        attempts = list(self._attempts.values())
        for attempt in attempts:
            attempt.stop("release")
        return len(attempts)

    async def wait(self, seconds: float | None, *, but: int = 0) -> bool:
        """Wait until at most ``but`` attempts are in hand; False when time is over first."""
        return await self._until(lambda: len(self._attempts) <= but, seconds)

    async def wait_for(self, attempt: Attempt, seconds: float) -> bool:
        """Wait until this one has ended; False when time is over first."""
        return await self._until(lambda: attempt.has_ended, seconds)

    async def _until(self, is_so: Callable[[], bool], seconds: float | None) -> bool:
        self._watchers += 1
        try:
            async with asyncio.timeout(seconds):
                while not is_so():
                    self._fewer.clear()
                    await self._fewer.wait()
        except TimeoutError:
            return False
        finally:
            self._watchers -= 1
        return True

    async def _run(self, attempt: Attempt) -> None:
        if attempt.work is None:  # it runs within the call that starts it
            attempt.work = asyncio.current_task()
        try:
            attempt.started = monotonic()
            prepared = self._executor.prepare(attempt.delivery)
            if isinstance(prepared, Refused):
                ran, outcome = self._refused(prepared)
            else:
                attempt.prepared = prepared
                ran, outcome = prepared.ran, await self._outcome(attempt, prepared)
                if attempt.span is not None:
                    _end_span(attempt.span, attempt, outcome)
            # A suspect keeps its slot until it is recorded: the next one may kill us meanwhile.
            if attempt.delivery.lane != "suspect":
                self._give_back_slot(attempt)
            self._write(Ending(attempt, ran, outcome, monotonic() - attempt.started))
        except BaseException as error:
            if attempt.span is not None:
                _end_span(attempt.span, attempt, None)
            self._give_back_slot(attempt)
            self._forget(attempt)
            if not isinstance(error, Exception):
                raise
            logger.exception("job=%s was not settled; its lease will bring it back",
                             lengthen(attempt.delivery.job_id))  # fmt: skip

    def _refused(self, job: Refused) -> tuple[Ran, Outcome]:
        tracing = self._observers.tracing
        if tracing is not None:
            refused(tracing, job, self._executor.url, self._recorder.skew_ms)
        return job.ran, job.outcome

    async def _outcome(self, attempt: Attempt, prepared: Prepared) -> Outcome | None:
        if attempt.go is not None or not attempt.lease.may_start():
            await self._permit(attempt)
        if attempt.stopped_by:
            return outcome_of_stop(attempt)
        if prepared.task.declared.isolation == "thread":
            attempt.ask = prepared.request_stop
        if self._observers.tracing is not None:
            attempt.span = begin(
                self._observers.tracing, prepared, self._executor.url, self._recorder.skew_ms
            )
        attempt.is_stoppable = True
        try:
            outcome = await self._executor.run(prepared, attempt.work)
        except asyncio.CancelledError:
            if not attempt.stopped_by or attempt.work is None:
                raise
            attempt.work.uncancel()
            prepared.request_stop()
            return outcome_of_stop(attempt)
        finally:
            attempt.is_stoppable = False
        if attempt.stopped_by and not isinstance(outcome, Complete):
            return outcome_of_stop(attempt)  # it raised on its way out; that is no failure
        return outcome

    async def _permit(self, attempt: Attempt) -> None:
        """Wait until it may begin; for a renewal or the fence if the lease may have run out."""
        lease = attempt.lease
        if attempt.go is not None:
            await attempt.go.wait()
        while not (lease.may_start() or lease.is_fenced or attempt.stopped_by):
            lease.changed.clear()
            await lease.changed.wait()
        if lease.is_fenced:
            attempt.stopped_by = "fenced"
        attempt.started = monotonic()

    def _give_back_slot(self, attempt: Attempt) -> None:
        """Now, or when the thread returns that nobody waits for any more."""
        if not attempt.holds_slot:
            return
        attempt.holds_slot = False
        lane = attempt.delivery.lane
        thread = attempt.prepared.thread if attempt.prepared is not None else None
        if thread is None or thread.done():
            self.slots.give_back(lane)
        else:
            thread.add_done_callback(lambda _: self.slots.give_back(lane))

    def _write(self, ending: Ending) -> None:
        attempt, outcome = ending.attempt, ending.outcome
        if outcome is None or attempt.lease.is_fenced:
            self._settled(ending, "fenced")
            return
        if self._executor.protects:
            outcome = self._executor.protected(ending.ran, outcome)
        told = settlement(ending.ran, outcome)
        self._finisher.submit(attempt.lease, told, partial(self._settled, ending))

    def _settled(self, ending: Ending, status: str) -> None:
        """Redis has answered, or it never will."""
        attempt = ending.attempt
        try:
            if status == "fenced":
                self.on_fenced(attempt.lease)
            elif status in TURNED:
                ending, status = ending.turned_into(status), "recorded"
            is_news = status != "recorded" or self.unsettled.endings
            if is_news or is_heard(ending, self._observers):
                ending.context.run(self._tell, ending, status)
            self._recorder.settled(ending, status)
        except Exception:  # the others of its batch are to be told all the same
            logger.exception("the end of job=%s", lengthen(attempt.delivery.job_id))
        finally:
            if attempt.holds_slot:
                self._give_back_slot(attempt)
            self._forget(attempt)

    def _tell(self, ending: Ending, status: str) -> None:
        if status != GIVEN_UP and self.unsettled.is_news(status, ending):
            tell(ending, status, self._observers)

    def _forget(self, attempt: Attempt) -> None:
        attempt.has_ended = True
        self._settling.discard(attempt.place)
        if self._attempts.get(attempt.place) is attempt:
            del self._attempts[attempt.place]
        if self._watchers:
            self._fewer.set()


def _end_span(span: Processing, attempt: Attempt, outcome: Outcome | None) -> None:
    """Once, whatever fails after it."""
    attempt.span = None
    end(span, attempt, outcome)


def _start(run: Coroutine[Any, Any, None], attempt: Attempt) -> None:
    """Run it as a task of its own; at once, where Python can do that."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        attempt.work = asyncio.Task(run, loop=loop, name=ATTEMPT, eager_start=True)
    else:
        attempt.work = loop.create_task(run, name=ATTEMPT)
