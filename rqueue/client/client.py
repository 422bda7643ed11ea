"""The client: one object for async and for blocking producers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rqueue.client.asking import Asking
from rqueue.client.building import Built, build, shares
from rqueue.client.coalescer import BATCH, Coalescer
from rqueue.client.connections import Connections
from rqueue.config import StoreConfig
from rqueue.durability import Durability, durability_of
from rqueue.errors import (
    Conflict,
    CorruptKey,
    InvalidArguments,
    NotDurable,
    PartlyRefused,
    PayloadTooLarge,
    QueueFull,
    RqueueError,
    StoreFull,
    StoreUnavailable,
    StreamExhausted,
)
from rqueue.events import JobEnqueued, Observers
from rqueue.handle import Job
from rqueue.ids import lengthen
from rqueue.options import Seconds
from rqueue.store.calls import jobs
from rqueue.store.calls.durability import Confirmation
from rqueue.store.calls.jobs import Enqueued
from rqueue.task import TaskCall

R = TypeVar("R")


class Client(Asking):
    """Sends jobs, and asks of them.

    Args:
        config: how Redis is reached.
        connections: where the trips are made.
        observers: who hears of enqueued jobs.
        durability: what an enqueue waits for, unless its task or call says otherwise.
    """

    def __init__(
        self,
        config: StoreConfig,
        connections: Connections,
        observers: Observers,
        durability: Durability,
    ) -> None:
        super().__init__(config, connections)
        self._observers = observers
        self._durability = durability
        self._limits = (config.max_payload, config.protection)

    async def enqueue(self, call: TaskCall[R]) -> Job[R]:
        """Send one call; concurrent sends share a trip."""
        built, wish = build(call, *self._limits), self._wish(call)
        here = self._connections.here()
        coalescer = here.coalescer(built.queue, wish) or await self._coalescer(built.queue, wish)
        try:
            said = await coalescer.send(built.job)
        except StoreUnavailable as error:
            raise _in_doubt(error, [built.job_id]) from error.__cause__
        return self._handle(call, built, said, coalescer.sure)

    def enqueue_sync(self, call: TaskCall[R]) -> Job[R]:
        """``enqueue`` for blocking code."""
        built = build(call, *self._limits)
        sure = self._connections.sure_sync(self._wish(call))
        self._connections.announce_sync(built.queue)
        trip = jobs.enqueue_confirmed(self._keys(built.queue), [built.job], sure.call)
        try:
            said = self._connections.blocking().run(trip)
        except StoreUnavailable as error:
            raise _in_doubt(error, [built.job_id]) from error.__cause__
        return self._handle(call, built, said[0], sure)

    async def enqueue_many(self, calls: Iterable[TaskCall[R]], spread: Seconds = 0) -> list[Job[R]]:
        """Send many calls, one trip for each 500 of a queue and durability.

        All are built first: one that is refused for its arguments or size refuses all.

        Raises:
            PartlyRefused: Redis refused some; carries the handles of the others.
            NotDurable: a trip's jobs are not as durable as wished; no further trip is made.
        """
        transport = self._connections.here().transport
        built, batches = self._batches(calls, spread)
        surely = {wish: await self._connections.sure(wish) for _, wish, _ in batches}
        ids = [one.job_id for _, one in built]
        said: dict[int, Enqueued] = {}
        for queue, wish, places in batches:
            await self._connections.announce(queue)
            sent = [built[n][1].job for n in places]
            trip = jobs.enqueue_confirmed(self._keys(queue), sent, surely[wish].call)
            try:
                answers = await transport.run(trip)
            except StoreUnavailable as error:
                raise _in_doubt(error, ids) from error.__cause__
            _check_copies(surely[wish], answers[0], ids)
            said.update(zip(places, answers, strict=True))
        return self._handles(built, said, surely)

    def enqueue_many_sync(self, calls: Iterable[TaskCall[R]], spread: Seconds = 0) -> list[Job[R]]:
        """``enqueue_many`` for blocking code."""
        transport = self._connections.blocking()
        built, batches = self._batches(calls, spread)
        surely = {wish: self._connections.sure_sync(wish) for _, wish, _ in batches}
        ids = [one.job_id for _, one in built]
        said: dict[int, Enqueued] = {}
        for queue, wish, places in batches:
            self._connections.announce_sync(queue)
            sent = [built[n][1].job for n in places]
            trip = jobs.enqueue_confirmed(self._keys(queue), sent, surely[wish].call)
            try:
                answers = transport.run(trip)
            except StoreUnavailable as error:
                raise _in_doubt(error, ids) from error.__cause__
            _check_copies(surely[wish], answers[0], ids)
            said.update(zip(places, answers, strict=True))
        return self._handles(built, said, surely)

    async def _coalescer(self, queue: str, wish: Durability) -> Coalescer:
        """Of this loop, made when the server was asked and the queue is known."""
        sure = await self._connections.sure(wish)
        await self._connections.announce(queue)
        return self._connections.here().open_coalescer(self._keys(queue), sure)

    def _wish(self, call: TaskCall[R]) -> Durability:
        chosen = call.options.get("durability")
        if chosen is not None:
            return durability_of(chosen)
        return call.defaults.durability or self._durability

    def _batches(
        self, calls: Iterable[TaskCall[R]], spread: Seconds
    ) -> tuple[list[tuple[TaskCall[R], Built]], list[tuple[str, Durability, list[int]]]]:
        """The jobs, and for each trip queue, durability and the places of its jobs among them."""
        given = list(calls)
        if len({id(call) for call in given}) < len(given):
            raise InvalidArguments(
                "the same call stands twice in a batch. A call is one job, however often it is "
                "sent: make one for each job, as in [task.call(x) for _ in range(3)]"
            )
        later = shares(len(given), spread)
        built = [
            (call, build(call, *self._limits, ms)) for call, ms in zip(given, later, strict=True)
        ]
        alike: dict[tuple[str, Durability], list[int]] = {}
        for place, (call, one) in enumerate(built):
            alike.setdefault((one.queue, self._wish(call)), []).append(place)
        batches = [
            (queue, wish, places[start : start + BATCH])
            for (queue, wish), places in alike.items()
            for start in range(0, len(places), BATCH)
        ]
        return built, batches

    def _handles(
        self,
        built: list[tuple[TaskCall[R], Built]],
        said: dict[int, Enqueued],
        surely: dict[Durability, Confirmation],
    ) -> list[Job[R]]:
        made: list[Job[R] | RqueueError] = []
        for place, (call, one) in enumerate(built):
            try:
                made.append(self._handle(call, one, said[place], surely[self._wish(call)]))
            except (Conflict, QueueFull, PayloadTooLarge, StoreFull, CorruptKey) as error:
                made.append(error)
        handles = [one for one in made if isinstance(one, Job)]
        if len(handles) < len(made):
            raise PartlyRefused(made)
        return handles

    def _handle(
        self, call: TaskCall[R], built: Built, said: Enqueued, sure: Confirmation
    ) -> Job[R]:
        ids = (built.job_id, built.job.id)
        if said.status == "locked":
            ids = (lengthen(said.holder), said.holder)
        elif said.status not in ("accepted", "duplicate"):
            raise _refusal(call.task, built, said)
        if sure.wanted:
            _check_copies(sure, said, [built.job_id])
        if self._observers.all:
            self._observers.emit(
                JobEnqueued(queue=built.queue, job_id=ids[0], task=call.task, status=said.status)
            )
        return Job(self, built.queue, ids, said.status, call.decode, sure.wish.mode)


def _in_doubt(error: StoreUnavailable, job_ids: Sequence[str]) -> StoreUnavailable:
    """This caller's own error, which names its jobs: who shared a trip shares what it met."""
    own = StoreUnavailable(*error.args).with_traceback(error.__traceback__)
    own.job_ids = tuple(job_ids)
    return own


def _check_copies(sure: Confirmation, said: Enqueued, job_ids: Sequence[str]) -> None:
    if said.copies < sure.wanted:
        raise NotDurable(job_ids, sure.wish.mode, sure.wanted, said.copies)


def _refusal(task: str, built: Built, said: Enqueued) -> RqueueError:
    """Why a job was not taken."""
    if said.status == "conflict":
        return Conflict(built.job_id, built.queue)
    if said.status == "full":
        return StoreFull()
    if said.status == "exhausted":
        return StreamExhausted(said.place)
    if said.status == "corrupt":
        return CorruptKey(f"a key that job {built.job_id!r} of queue {built.queue!r} needs")
    if said.place == "payload":
        return PayloadTooLarge(task, len(built.job.envelope), said.cap, built.queue)
    return QueueFull(built.queue, said.place, said.cap)
