"""The jobs in this worker's hands: from the entry's receipt until Redis has answered its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from rqueue.clock import monotonic
from rqueue.codec import decode_error
from rqueue.errors import StoreError
from rqueue.events import JobFinished, Observers
from rqueue.ids import lengthen
from rqueue.job import Delivery
from rqueue.outcome import Bury, Complete, Outcome, Release, TryAgain
from rqueue.worker.attempt import ATTEMPT, Attempt, Place, outcome_of_stop, place_of
from rqueue.worker.executor import Executor, Refused
from rqueue.worker.finisher import Finisher
from rqueue.worker.lease import QueueLease
from rqueue.worker.settling import Ran, settlement
from rqueue.worker.slots import Slots
from rqueue.worker.unsettled import Ending, Unsettled

logger = logging.getLogger("rqueue")


class Running:
    """Starts attempts, stops them, sees their outcomes written.

    Args:
        executor: runs them.
        finisher: writes what came of them.
        slots: one is taken for each.
        observers: who hears of finished attempts.
        on_fenced: called when Redis says that a lease is gone.
    """

    def __init__(
        self,
        executor: Executor,
        finisher: Finisher,
        slots: Slots,
        observers: Observers,
        on_fenced: Callable[[QueueLease], None],
    ) -> None:
        self._executor = executor
        self._finisher = finisher
        self.slots = slots
        self._observers = observers
        self.on_fenced = on_fenced
        self._attempts: dict[Place, Attempt] = {}
        self.unsettled = Unsettled()
        self._settling: set[asyncio.Task[None]] = set()

    def places(self) -> set[Place]:
        """Where the entries in hand stand, and those whose end could not be written.

        The latter are not run again: their endings are written when the key is repaired.
        """
        return self._attempts.keys() | self.unsettled.places()

    def holds(self, delivery: Delivery) -> bool:
        """Whether this very entry is in hand already."""
        place = place_of(delivery)
        return place in self._attempts or place in self.unsettled.places()

    def settle_again(self) -> None:
        """Try to write the endings that could not be written; the key may have been repaired."""
        for one in [] if self._settling else self.unsettled.all():
            work = asyncio.create_task(self._settle(*one), name="rqueue-settle-again")
            self._settling.add(work)
            work.add_done_callback(self._settling.discard)

    def start(self, delivery: Delivery, lease: QueueLease) -> asyncio.Task[None]:
        """Run a delivery in a slot of its own."""
        work = self.hold(delivery, lease)
        self.let_run(delivery, is_ours=True)
        return work

    def hold(self, delivery: Delivery, lease: QueueLease) -> asyncio.Task[None]:
        """Take a slot for a delivery, but do not run it yet."""
        self.slots.take(delivery.lane)
        return self._begin(Attempt(delivery, lease), self._run)

    def let_run(self, delivery: Delivery, *, is_ours: bool) -> None:
        """Run a delivery that was held; if it is not ours any more, forget it."""
        attempt = self._attempts.get(place_of(delivery))
        if attempt is not None:
            if not is_ours:
                attempt.stop("fenced")
            attempt.go.set()

    def let_go(self, delivery: Delivery) -> None:
        """Give a delivery back that is still held; one that runs or has ended is left alone."""
        attempt = self._attempts.get(place_of(delivery))
        if attempt is not None and not attempt.go.is_set():
            attempt.stop("release")

    def give_back(self, delivery: Delivery, lease: QueueLease) -> asyncio.Task[None]:
        """Return a delivery unrun, at once."""
        return self._begin(Attempt(delivery, lease), self._release)

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
        try:
            async with asyncio.timeout(seconds):
                while len(self._attempts) > but:
                    works = {a.work for a in self._attempts.values() if a.work is not None}
                    await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            return False
        return True

    def _begin(
        self, attempt: Attempt, run: Callable[[Attempt], Coroutine[Any, Any, None]]
    ) -> asyncio.Task[None]:
        self._attempts[attempt.place] = attempt
        name = f"{ATTEMPT}? {lengthen(attempt.delivery.job_id)}"
        attempt.work = asyncio.create_task(run(attempt), name=name)
        return attempt.work

    async def _run(self, attempt: Attempt) -> None:
        slot_held = True
        try:
            started = monotonic()
            ran, outcome = await self._attempt(attempt)
            seconds = monotonic() - started
            if attempt.delivery.lane != "suspect":
                self._give_back_slot(attempt)
                slot_held = False
            # A suspect keeps its slot until it is recorded: the next one may kill us meanwhile.
            await self._settle(attempt, ran, outcome, seconds)
        except Exception:
            logger.exception("job=%s was not settled; its lease will bring it back",
                             lengthen(attempt.delivery.job_id))  # fmt: skip
        finally:
            if slot_held:
                self._give_back_slot(attempt)
            self._attempts.pop(attempt.place, None)

    def _give_back_slot(self, attempt: Attempt) -> None:
        """Now, or when the thread returns that nobody waits for any more."""
        lane = attempt.delivery.lane
        thread = attempt.prepared.thread if attempt.prepared is not None else None
        if thread is None or thread.done():
            self.slots.give_back(lane)
        else:
            thread.add_done_callback(lambda _: self.slots.give_back(lane))

    async def _release(self, attempt: Attempt) -> None:
        try:
            await self._settle(attempt, Ran(delivery=attempt.delivery), Release(), 0.0)
        finally:
            self._attempts.pop(attempt.place, None)

    async def _attempt(self, attempt: Attempt) -> tuple[Ran, Outcome | None]:
        prepared = self._executor.prepare(attempt.delivery)
        if isinstance(prepared, Refused):
            return prepared.ran, prepared.outcome
        work = attempt.work
        if work is not None:
            work.set_name(f"{ATTEMPT}{prepared.task.name} {prepared.ctx.job_id}")
        await attempt.go.wait()
        await self._permit(attempt)
        if attempt.stopped_by:
            return prepared.ran, outcome_of_stop(attempt)
        attempt.prepared = prepared
        if prepared.task.declared.isolation == "thread":
            attempt.ask = prepared.ctx.request_stop
        attempt.is_stoppable = True
        try:
            ran, outcome = await self._executor.run(prepared)
        except asyncio.CancelledError:
            if not attempt.stopped_by or work is None:
                raise
            work.uncancel()
            prepared.ctx.request_stop()
            return prepared.ran, outcome_of_stop(attempt)
        finally:
            attempt.is_stoppable = False
        if attempt.was_stopped and not isinstance(outcome, Complete):
            return ran, outcome_of_stop(attempt)  # it raised on its way out; that is no failure
        return ran, outcome

    async def _permit(self, attempt: Attempt) -> None:
        """Wait for a renewal or the fence when the lease may have run out meanwhile."""
        lease = attempt.lease
        while not (lease.may_start() or lease.is_fenced or attempt.stopped_by):
            lease.changed.clear()
            await lease.changed.wait()
        if lease.is_fenced:
            attempt.stopped_by = "fenced"

    async def _settle(
        self, attempt: Attempt, ran: Ran, outcome: Outcome | None, seconds: float
    ) -> None:
        if outcome is None:
            status, ending, error = "fenced", "", ""
        else:
            ending, error = outcome.verb, _error_type(outcome)
            status = await self._write(attempt, ran, outcome)
        if status == "fenced":
            self.on_fenced(attempt.lease)
        if not self.unsettled.is_news(status, Ending(attempt, ran, outcome, seconds)):
            return
        if outcome is not None:
            _log(attempt, ran, outcome, seconds)
        if self._observers:
            delivery = attempt.delivery
            self._observers.emit(
                JobFinished(
                    queue=delivery.queue,
                    job_id=lengthen(delivery.job_id),
                    task=ran.envelope.task if ran.envelope is not None else "",
                    attempt=delivery.attempts + 1,
                    ending=ending,
                    status=status,
                    seconds=seconds,
                    error=error,
                    worker=delivery.worker,
                )
            )

    async def _write(self, attempt: Attempt, ran: Ran, outcome: Outcome) -> str:
        if attempt.lease.is_fenced:
            return "fenced"
        try:
            told = settlement(ran, self._executor.protected(ran, outcome))
            return await self._finisher.submit(attempt.lease, told)
        except StoreError as error:
            return f"failed: {error}"


_LINE = "%s task=%.100s job=%s attempt=%d took=%.3fs"
_LINE_WITH_ERROR = _LINE + "%s: %s\n%s"


def _log(attempt: Attempt, ran: Ran, outcome: Outcome, seconds: float) -> None:
    """A line for what ended; a failure with its traceback."""
    task = ran.envelope.task if ran.envelope is not None else "?"
    job_id, number = lengthen(attempt.delivery.job_id), attempt.delivery.attempts + 1
    told = (outcome.verb, task, job_id, number, seconds)
    if isinstance(outcome, Bury | TryAgain):
        error = decode_error(outcome.error)
        level = logging.ERROR if isinstance(outcome, Bury) else logging.WARNING
        trace = error.traceback or f"{error.type}: {error.message}"
        again = f" again_in={outcome.delay_ms / 1000:.1f}s" if isinstance(outcome, TryAgain) else ""
        logger.log(level, _LINE_WITH_ERROR, *told, again, error.type, trace)
    else:
        logger.debug(_LINE, *told)


def _error_type(outcome: Outcome) -> str:
    if isinstance(outcome, Bury | TryAgain):
        return decode_error(outcome.error).type
    return ""
