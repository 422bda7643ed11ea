"""What becomes of jobs, counted as it happens; whoever serves metrics reads it.

It is called for every job, and does no more than it must: one microsecond is its budget.
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rqueue.clock import monotonic, now_ms
from rqueue.config import Buckets
from rqueue.events import Event, GroupsRestored, LoopStalled, WorkerFenced, WorkerReaped
from rqueue.job import AttemptError
from rqueue.outcome import Bury, Outcome
from rqueue.tracing import lines
from rqueue.worker.journal import Counted, Journal, SeriesCounts
from rqueue.worker.scale import Scale
from rqueue.worker.series import ENDS, OTHER, Series
from rqueue.worker.settling import Ran
from rqueue.worker.tally import Exemplar, QueueTally, Tally
from rqueue.worker.unsettled import Ending

logger = logging.getLogger("rqueue")

MOST_TASKS = 200
MOST_QUEUES = 100
MOST_FAILURES = 100
"""Beyond these what is new is counted as ``OTHER``: each series costs memory everywhere. Of the
failures of a queue that nobody has taken so many are kept, the latest."""
UNKNOWN = "_unknown"
"""Instead of a task's name that no task here has: a stranger may have written anything."""
_RECORDED = frozenset({"recorded", "already"})
_TAKEN = frozenset({"fenced", "stale", "lost"})
_LAG_WINDOW_S = 30.0
_LONGEST_LINE = 200


class _Lag(NamedTuple):
    """How late the event loop was, and until when that is told, monotonic seconds."""

    until: float
    seconds: float


class Failed(NamedTuple):
    """A failed attempt, or a job that died without one.

    Attributes:
        at_ms: when that was settled, by Redis' clock.
        task: under which name it is counted.
        job_id: the job, in short form.
        attempt: from 1; 0 = it was not begun.
        reason: why the job is dead; "" = it runs again.
        type: of the exception.
        message: the first line of its text.
        worker: who ran it.
    """

    at_ms: int
    task: str
    job_id: str
    attempt: int
    reason: str
    type: str
    message: str
    worker: str


class Recorder:
    """The counts of one worker. Its event loop writes, any thread may read.

    Args:
        buckets: in which durations are counted.
        knows: whether a name is that of a task here.

    Attributes:
        run: how what attempts take is counted.
        wait: how waiting is.
        series: by (queue, task), each once.
        failures: of each queue the latest that nobody has taken, the last one last.
        skew_ms: what has to be added to this machine's clock to get Redis'.
        targets: seconds that jobs of a queue should wait at the most, where somebody has set that.
        journal: where all of it is written down as well, where somebody reads it.
    """

    def __init__(self, buckets: Buckets, knows: Callable[[str], bool]) -> None:
        self.journal: Journal | None = None
        self._buckets = buckets
        self.run, self.wait = Scale(buckets.run), Scale(buckets.wait)
        self._run, self._wait, self._total = self.run.bounds, self.wait.bounds, buckets.wait
        self._knows = knows
        self._new = threading.Lock()
        self._tally = Tally()
        self.series: dict[tuple[str, str], Series] = {}
        self.failures: dict[str, deque[Failed]] = {}
        self.skew_ms = 0.0
        self.targets: dict[str, float] = {}
        self._series: dict[tuple[str, str], Series] = {}
        self._changed: set[Series] = set()
        self._lags: deque[_Lag] = deque()

    @property
    def tally(self) -> Tally:
        """All that was counted since the start, in the buckets that were asked for."""
        series = list(self.series.values())
        for one in series:
            one.task.run = self.run.shown([one.run])
        for queue in list(self._tally.queues.values()):
            queue.wait = self.wait.shown([one.wait for one in series if one.queue is queue])
        return self._tally

    def counted(self) -> Counted:
        """All that was counted since the start, as it can be written down."""
        return self._of(self.series.values(), dict(self._tally.queues))

    def write_down(self) -> None:
        """Put into the journal what has changed; to be called when a batch was settled."""
        if self.journal is None:
            return
        changed = self._of(self._changed, {one.queue_name: one.queue for one in self._changed})
        self._changed.clear()
        if not self.journal.add(changed):
            self.journal.restart(self.counted())

    def _of(self, series: Iterable[Series], queues: dict[str, QueueTally]) -> Counted:
        noted = [
            SeriesCounts(one.place, one.queue_name, one.task, one.run, one.wait) for one in series
        ]
        tally = self._tally
        rest = Tally({}, {}, tally.stalls, tally.trips, tally.troubles, tally.reconnects)
        return Counted(self._buckets, noted, queues, rest)

    def settled(self, ending: Ending, status: str) -> None:
        """An attempt has ended, and Redis has answered this."""
        ran = ending.ran
        delivery, envelope = ran.delivery, ran.envelope
        task = envelope.task if envelope is not None else UNKNOWN
        series = self._series.get((delivery.queue, task)) or self._begin(delivery.queue, task)
        self._changed.add(series)
        outcome = ending.outcome
        if outcome is None or status not in _RECORDED:
            if status in _TAKEN and ran.begun_ms:
                series.task.attempts["lost"] += 1
            return
        if ran.begun_ms:
            self._measure(series, ran, ending, has_ended=outcome.verb in ENDS)
        if outcome.verb == "complete":
            series.task.succeeded += 1
        else:
            error = series.count(outcome, has_begun=ran.begun_ms > 0)
            if error is not None:
                self._note(series.place[1], ran, outcome, error)

    def _measure(self, series: Series, ran: Ran, ending: Ending, *, has_ended: bool) -> None:
        """What an attempt took, how long its job had waited, and what it took in all at its end."""
        run, wait, job, seconds = series.run, series.wait, ran.delivery, ending.seconds
        run.counts[bisect_left(self._run, seconds)] += 1
        run.sum += seconds
        began = ran.begun_ms + self.skew_ms
        ready = int(job.entry_id.partition("-")[0])
        waited = (began - ready) / 1000 if began > ready else 0.0
        wait.counts[bisect_left(self._wait, waited)] += 1
        wait.sum += waited
        if self.targets and (target := self.targets.get(job.queue)):
            series.queue.targeted += 1
            series.queue.met += waited <= target
        if has_ended:
            total, first = series.total, job.first_ready_ms
            took = seconds + (max(0.0, (began - first) / 1000) if first else waited)
            total.counts[bisect_left(self._total, took)] += 1
            total.sum += took
        if lines.trace is not None and (trace := ending.context.run(lines.trace)):
            at = began / 1000 + seconds
            run.show(bisect_left(self._run, seconds), Exemplar(at, seconds, trace))
            wait.show(bisect_left(self._wait, waited), Exemplar(at, waited, trace))

    def __call__(self, event: Event) -> None:
        """Count what happens beside the jobs; an observer."""
        match event:
            case LoopStalled():
                task, stalls = event.task or UNKNOWN, self._tally.stalls
                task = task if task in stalls or len(stalls) < MOST_TASKS else OTHER
                stalls[task] = stalls.get(task, 0) + 1
            case WorkerFenced():
                self._of_queue(event.queue).fenced += 1
            case WorkerReaped():
                self._of_queue(event.queue).reclaimed += event.jobs
            case GroupsRestored():
                self._of_queue(event.queue).restored += 1
            case _:
                return

    def lagged(self, seconds: float) -> None:
        """The event loop turned so much later than it should have."""
        now, lags = monotonic(), self._lags
        while lags and lags[-1].seconds <= seconds:
            lags.pop()
        while lags and lags[0].until < now:
            lags.popleft()
        lags.append(_Lag(now + _LAG_WINDOW_S, seconds))

    @property
    def lag_s(self) -> float:
        """The largest lag of the last half minute."""
        now = monotonic()
        return max((lag.seconds for lag in list(self._lags) if lag.until >= now), default=0.0)

    def _note(self, task: str, ran: Ran, outcome: Outcome, error: AttemptError) -> None:
        """Keep a failure for the history; not its call and traceback, which may be large."""
        job = ran.delivery
        if job.queue not in self.failures:
            self.failures[job.queue] = deque(maxlen=MOST_FAILURES)
        self.failures[job.queue].append(
            Failed(
                at_ms=round(now_ms() + self.skew_ms),
                task=task,
                job_id=job.job_id,
                attempt=job.attempts + 1 if ran.begun_ms else 0,
                reason=outcome.reason.value if isinstance(outcome, Bury) else "",
                type=error.type,
                message=error.message.strip().partition("\n")[0][:_LONGEST_LINE],
                worker=job.worker,
            )
        )

    def place(self, queue: str, task: str) -> tuple[str, str]:
        """Under which queue and task it is counted, or would be; any thread may ask."""
        known = self._series.get((queue, task))
        if known is not None:
            return known.place
        return queue, task if len(self.series) < MOST_TASKS else OTHER

    def queue(self, name: str) -> str:
        """Under which name a queue is counted, or would be; any thread may ask."""
        queues = self._tally.queues
        return name if name in queues or len(queues) < MOST_QUEUES else OTHER

    def _begin(self, queue: str, task: str) -> Series:
        if task not in (OTHER, UNKNOWN) and not self._knows(task):
            return self._series.get((queue, UNKNOWN)) or self._begin(queue, UNKNOWN)
        if len(self.series) >= MOST_TASKS and (queue, OTHER) != (queue, task):
            logger.warning("metrics: more than %d tasks; %s counts as %s", MOST_TASKS, task, OTHER)
            found = self._series.get((queue, OTHER)) or self._begin(queue, OTHER)
        else:
            name = self._name_of_queue(queue)
            within = self._tally.queues[name]
            found = Series((queue, task), name, within, self.run, self.wait)
            self._tally.tasks[queue, task] = found.task
            self.series[queue, task] = found
        self._series[queue, task] = found
        return found

    def _of_queue(self, name: str) -> QueueTally:
        return self._tally.queues[self._name_of_queue(name)]

    def _name_of_queue(self, name: str) -> str:
        """Under which name what happens in a queue is counted."""
        queues = self._tally.queues
        with self._new:  # the heartbeat's thread counts as well
            name = self.queue(name)
            if name not in queues:
                if name == OTHER:
                    logger.warning(
                        "metrics: more than %d queues; more count as %s", MOST_QUEUES, OTHER
                    )
                empty = self.wait.shown([])
                queues[name] = QueueTally(empty, empty.like())
            return name
