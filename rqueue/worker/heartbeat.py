"""The heartbeat: a thread with its own connection; a blocked event loop keeps its leases."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from rqueue.clock import monotonic
from rqueue.config import StoreConfig, WorkerConfig
from rqueue.errors import StoreError
from rqueue.events import LoopStalled, Observers
from rqueue.store.call import Call
from rqueue.store.calls import leases
from rqueue.store.calls.leases import Seen
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import Transport, TripCounter
from rqueue.worker.lease import QueueLease
from rqueue.worker.lookout import Lookout
from rqueue.worker.pulse import HEARTBEAT, LOOP, Pulse
from rqueue.worker.reaper import Reaper

logger = logging.getLogger("rqueue")

T = TypeVar("T")
_TURN_S = 0.25
_JOIN_S = 0.5


class _Look(NamedTuple):
    """What a trip for a lease told of the others', if anything; sent and received, monotonic."""

    lease: QueueLease
    seen: Seen | None
    sent: float
    received: float


class HeartbeatHooks(msgspec.Struct, frozen=True):
    """What the heartbeat tells the event loop, in the loop's thread, and what it asks of it.

    Attributes:
        fenced: this lease is gone.
        cancel: (queue, short id): this job must be stopped.
        name_of: which task and job an asyncio task runs; asked from the heartbeat's thread.
        answered: called there behind each round that Redis has answered.
        trips: counts what the heartbeat asks of Redis.
        stalled: called there while the loop does not turn, with the queues and our names there.
    """

    fenced: Callable[[QueueLease], None]
    cancel: Callable[[str, str], None]
    name_of: Callable[[asyncio.Task[Any] | None], tuple[str, str]]
    answered: Callable[[Transport, Sequence[QueueKeys]], None]
    stalled: Callable[[Transport, Sequence[tuple[QueueKeys, str]]], None]
    trips: TripCounter


class Heartbeat:
    """Renews every lease, which is a look at those of others as well, and watches the loop.

    Args:
        store: how Redis is reached.
        config: the worker's settings.
        pulse: signs of life of the loop's parts.
        observers: who hears of stalls and reaped workers.
        hooks: what the loop is told.
        lookout: told of the looks, which serve the schedulers of the same app as well.
    """

    def __init__(
        self,
        store: StoreConfig,
        config: WorkerConfig,
        pulse: Pulse,
        observers: Observers,
        hooks: HeartbeatHooks,
        lookout: Lookout,
    ) -> None:
        times = config.lease
        # An answer that takes longer than a renewal's turn is no use; the next try is due.
        patience = min(store.timeout_s, max(times.renew_s, 0.5))
        quick = msgspec.structs.replace(store, timeout_s=patience, retry_s=0.0)
        self._transport = Transport(quick)
        self._transport.counter = hooks.trips
        self._config = config
        self._times = times
        self._pulse = pulse
        self._observers = observers
        self._hooks = hooks
        self._lookout = lookout
        self._leases: list[QueueLease] = []
        self._reapers: dict[str, Reaper] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rqueue-heartbeat", daemon=True)
        self._stalled = False
        self._is_stuck = False
        self._cut_off: set[QueueLease] = set()

    def hold(self, lease: QueueLease) -> None:
        """Renew this lease from now on, instead of an earlier one of its queue.

        To be called in the running event loop. The thread begins with the first lease: the others
        may be long in coming.
        """
        is_first = not self._leases
        kept = [one for one in self._leases if one.queue != lease.queue]
        self._leases = [*kept, lease]
        if is_first:
            self._loop = asyncio.get_running_loop()
            self._loop_thread = threading.get_ident()
            self._thread.start()
        self._lookout.watch(self, lease.queue, self._times.renew_s)

    def stop(self) -> None:
        """End; the leases stand until they are given up."""
        self._stop.set()
        self._lookout.leave(self)
        if self._thread.is_alive():
            # Longer it takes only if Redis does not answer; what it asked for then changes nothing.
            self._thread.join(timeout=min(_JOIN_S, self._times.lease_s))
        self._transport.close()

    def _run(self) -> None:
        renew_at = monotonic()
        turn = min(_TURN_S, self._times.renew_s)
        while not self._stop.wait(min(turn, max(0.0, renew_at - monotonic()))):
            now = monotonic()
            try:
                self._watch_loop()
                if now >= renew_at:
                    # A failed round is tried again at the next turn.
                    renew_at = now + turn
                    renew_at = self._next(now) if self._renew_all() else now + turn
                elif self._stalled:  # never before a renewal
                    served = [(lease.keys, lease.worker) for lease in self._leases]
                    self._hooks.stalled(self._transport, served)
            except Exception:  # without this thread the worker would be fenced for ever
                logger.exception("a turn of the heartbeat failed; it goes on")

    def _next(self, now: float) -> float:
        """When to renew again: sooner than usual where somebody may be found dead by then."""
        # A queue that was joined meanwhile has none yet.
        reapers = [self._reapers.get(lease.queue) for lease in self._leases]
        looks = [reaper.look_at for reaper in reapers if reaper is not None]
        return min([now + self._times.renew_s, *looks])

    def _renew_all(self) -> bool:
        """Renew all leases, then heed what the answers tell of those of others.

        Returns:
            Whether every trip was answered.
        """
        part, age = self._pulse.oldest()
        is_stuck = age > self._config.stall_limit_s
        if is_stuck and not self._is_stuck:
            logger.critical("%s has not turned for %.0f s: leases are not renewed", part, age)
        self._is_stuck = is_stuck
        looks = [
            self._look(lease) if is_stuck or lease.is_fenced else self._renew(lease)
            for lease in self._leases
        ]
        # Only now: what a dead worker held may be much, and the renewals must not wait for it.
        for look in looks:
            if look is not None:
                self._heed(look)
        is_answered = None not in looks
        if is_answered:
            self._pulse.answered(HEARTBEAT)
            self._hooks.answered(self._transport, [lease.keys for lease in self._leases])
        return is_answered

    def _renew(self, lease: QueueLease) -> _Look | None:
        reaper, sent = self._reaper(lease), monotonic()
        sweep, counter = reaper.wants_sweep(sent), lease.next_counter()
        answer = self._ask(lease, leases.renew(lease.keys, lease.worker, counter, sweep=sweep))
        if answer is None:
            return None
        received = monotonic()
        if not answer.is_live:
            self._lose(lease)
            return _Look(lease, None, sent, received)
        lease.renewed(sent)
        lease.peers = len(answer.seen.standing)
        self._tell(lease.changed.set)
        for job_id in answer.cancels:
            self._tell(self._hooks.cancel, lease.queue, job_id)
        return _Look(lease, answer.seen, sent, received)

    def _look(self, lease: QueueLease) -> _Look | None:
        """Renew nothing; once somebody has taken the lease, a stuck process is of no use."""
        reaper, sent = self._reaper(lease), monotonic()
        seen = self._ask(lease, leases.look(lease.keys, sweep=reaper.wants_sweep(sent)))
        if seen is None:
            return None
        received = monotonic()
        if lease.worker not in seen.standing:
            if lease.is_fenced:  # told already, maybe before the loop counted as stuck
                self._leave_when_stuck()
            else:
                self._lose(lease)
        return _Look(lease, seen, sent, received)

    def _ask(self, lease: QueueLease, call: Call[T]) -> T | None:
        try:
            answer = self._transport.send(call)
        except StoreError as error:
            if lease not in self._cut_off:
                self._cut_off.add(lease)
                logger.warning("lease not renewed queue=%s, trying on: %s", lease.queue, error)
            return None
        if lease in self._cut_off:
            self._cut_off.discard(lease)
            logger.warning("Redis answers again queue=%s", lease.queue)
        return answer

    def _lose(self, lease: QueueLease) -> None:
        lease.is_fenced = True
        self._tell(self._hooks.fenced, lease)
        self._leave_when_stuck()

    def _heed(self, look: _Look) -> None:
        lease, seen, sent, received = look
        if seen is None:
            return
        # Where a scheduler of this process answers for the queue, this is its look as well.
        me = None if self._lookout.is_served(lease.queue) else lease.worker
        try:
            self._reaper(lease).heed(seen, sent, received, me)
        except StoreError as error:
            logger.debug("look failed queue=%s: %s", lease.queue, error)
        except Exception:
            logger.exception("look failed queue=%s; it goes on", lease.queue)

    def _reaper(self, lease: QueueLease) -> Reaper:
        reaper = self._reapers.get(lease.queue)
        if reaper is None:
            reaper = Reaper(self._transport, lease.keys, self._times, self._observers)
            self._reapers[lease.queue] = reaper
        return reaper

    def _watch_loop(self) -> None:
        age = self._pulse.age(LOOP)
        if age <= self._config.stall_warn_s:
            self._stalled = False
            return
        if self._stalled:
            return
        self._stalled = True
        running = asyncio.current_task(self._loop)
        task, job = self._hooks.name_of(running)
        name = running.get_name() if running is not None else "something"
        if job:
            name = f"task={task or '?'} job={job}"
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - documented in spite of its name
        frame = frames.get(self._loop_thread)
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"
        logger.warning(
            "the event loop has not turned for %.1f s; %s blocks it at %s. Async tasks must not "
            "call blocking code: make the task a plain def, which runs in a thread",
            age, name, where,
        )  # fmt: skip
        self._observers.emit(LoopStalled(queue="", task=task, seconds=age))

    def _leave_when_stuck(self) -> None:
        _, age = self._pulse.oldest()
        if self._config.exit_when_stuck and age > self._config.stall_limit_s:
            logger.critical("fenced, and the event loop does not turn; this process ends")
            faulthandler.dump_traceback(all_threads=True)
            os._exit(70)

    def _tell(self, hook: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(hook, *args)
        except RuntimeError:  # the loop has ended; nobody is left to be told
            logger.debug("the loop has ended; not told: %s", args)
