"""What a worker counts, as Prometheus metrics: read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector

from rqueue.config import Buckets
from rqueue.metrics.families import build_info, counters, gauge, gauges, histograms
from rqueue.worker.readings import Readings
from rqueue.worker.tally import TRIP_S, QueueTally, Tally, TaskTally


class WorkerMetrics(Collector):
    """A collector: ``registry.register(WorkerMetrics(worker.readings))``.

    Args:
        read: what to tell: of one worker, or of several added up.
        buckets: in which it counts durations.
        with_errors: tell the types of exceptions as well; each is a series.
    """

    def __init__(
        self,
        read: Callable[[], Readings],
        buckets: Buckets | None = None,
        *,
        with_errors: bool = False,
    ) -> None:
        self._read = read
        self._buckets = buckets or Buckets()
        self._with_errors = with_errors

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is shows only when it is asked for."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All that is known now."""
        readings = self._read()
        yield build_info()
        yield from _of_now(readings)
        yield counters(
            "rqueue_worker_child_restarts",
            "Worker processes that were started in place of one that had ended.",
            ("reason",),
            [((reason,), count) for reason, count in readings.restarts.items()],
        )
        yield from self._of_tasks(readings.tally)
        yield from self._of_queues(readings.tally)
        yield from _of_redis(readings.tally)
        yield counters(
            "rqueue_worker_event_loop_stalls",
            "Times that a task kept the event loop from turning.",
            ("task",),
            [((task,), count) for task, count in list(readings.tally.stalls.items())],
        )

    def _of_tasks(self, tally: Tally) -> Iterator[Metric]:
        tasks = list(tally.tasks.items())
        for name, text, label, counts in _TASK_COUNTS[: None if self._with_errors else -1]:
            yield counters(
                name,
                text,
                ("queue", "task", label),
                [
                    ((*place, what), count)
                    for place, one in tasks
                    for what, count in counts(one).items()
                ],
            )
        yield histograms(
            "rqueue_job_run_seconds",
            "What attempts took.",
            ("queue", "task"),
            self._buckets.run,
            [(place, one.run) for place, one in tasks],
        )

    def _of_queues(self, tally: Tally) -> Iterator[Metric]:
        queues = [((name,), one) for name, one in list(tally.queues.items())]
        bounds = self._buckets.wait
        yield histograms(
            "rqueue_job_wait_seconds",
            "From when a job could run until it began; neither delay nor backoff.",
            ("queue",), bounds, [(queue, one.wait) for queue, one in queues],
        )  # fmt: skip
        yield histograms(
            "rqueue_job_total_seconds",
            "From when a job first could run until its end, with all retries.",
            ("queue",), bounds, [(queue, one.total) for queue, one in queues],
        )  # fmt: skip
        yield counters(
            "rqueue_jobs_rejected",
            "Jobs that were not begun.",
            ("queue", "reason"),
            [
                ((*queue, reason), count)
                for queue, one in queues
                for reason, count in list(one.rejected.items())
            ],
        )
        yield from map(_counts_of_queues, _QUEUE_COUNTS, [queues] * len(_QUEUE_COUNTS))


def _attempts(one: TaskTally) -> dict[str, int]:
    return {"succeeded": one.succeeded, **one.attempts}


def _ends(one: TaskTally) -> dict[str, int]:
    return {"succeeded": one.succeeded, **one.ends}


_TASK_COUNTS: tuple[tuple[str, str, str, Callable[[TaskTally], dict[str, int]]], ...] = (
    ("rqueue_attempts", "Attempts that ended.", "outcome", _attempts),
    ("rqueue_jobs_finished", "Jobs that reached their end.", "outcome", _ends),
    ("rqueue_retries", "Jobs that shall run again.", "reason", lambda one: one.retries.copy()),
    ("rqueue_errors", "Failed attempts, by exception.", "error", lambda one: one.errors.copy()),
)
_Queues = list[tuple[tuple[str, ...], QueueTally]]
_QUEUE_COUNTS = (
    ("rqueue_job_slo", "Jobs that began in a queue with a target for the wait.", "targeted"),
    ("rqueue_job_slo_met", "Those of them that waited no longer than that.", "met"),
    ("rqueue_jobs_reclaimed", "Jobs that this process took from dead workers.", "reclaimed"),
    ("rqueue_worker_fenced", "Leases that this process lost.", "fenced"),
    (
        "rqueue_worker_groups_restored",
        "Times that it made consumer groups again that somebody had destroyed.",
        "restored",
    ),
)


def _counts_of_queues(what: tuple[str, str, str], queues: _Queues) -> Metric:
    name, text, field = what
    return counters(name, text, ("queue",), [(queue, getattr(one, field)) for queue, one in queues])


def _of_redis(tally: Tally) -> Iterator[Metric]:
    """How Redis has served this process."""
    yield histograms(
        "rqueue_redis_command_seconds",
        "What trips to Redis took, by what was asked.",
        ("op",), TRIP_S, [((name,), one) for name, one in list(tally.trips.items())],
    )  # fmt: skip
    yield counters(
        "rqueue_redis_errors",
        "Trips to Redis that failed; most are made again.",
        ("kind",),
        [((kind,), count) for kind, count in list(tally.troubles.items())],
    )
    yield counters(
        "rqueue_redis_reconnects",
        "Times that Redis answered again after it could not be reached.",
        (), [((), tally.reconnects)],
    )  # fmt: skip


def _of_now(readings: Readings) -> Iterator[Metric]:
    places = ("queue", "task")
    # A series that comes and goes could not be asked for what it was before.
    running: dict[tuple[str, ...], float] = dict.fromkeys(list(readings.tally.tasks), 0.0)
    running |= readings.running
    longest: dict[tuple[str, ...], float] = {
        (queue,): readings.longest_s.get(queue, 0.0)
        for queue in {*list(readings.tally.queues), *readings.longest_s}
    }
    yield gauges("rqueue_jobs_running", "Handlers at work.", places, running)
    yield gauges(
        "rqueue_job_longest_running_seconds",
        "For how long the one has run that runs for longest.",
        ("queue",),
        longest,
    )
    yield from _of_process(readings)


def _of_process(readings: Readings) -> Iterator[Metric]:
    yield gauge("rqueue_worker_slots", "How many jobs may run at a time.", readings.slots)
    yield gauge("rqueue_worker_slots_busy", "How many slots are taken.", readings.busy)
    yield gauge(
        "rqueue_worker_stuck_threads",
        "Threads that still run a job whose time is over; they hold a slot each.",
        readings.stuck_threads,
    )
    yield gauge(
        "rqueue_worker_memory_bytes",
        "Memory in use; of a supervisor that of its children together.",
        readings.memory_bytes,
    )
    yield gauge(
        "rqueue_worker_draining",
        "Whether it was told to stop, or to take no more jobs.",
        float(readings.is_draining),
    )
    yield gauge(
        "rqueue_worker_event_loop_lag_seconds",
        "How late the event loop was at the worst, in the last half minute.",
        readings.lag_s,
    )
    yield gauge(
        "rqueue_worker_last_fetch_timestamp_seconds",
        "When Redis last answered a fetch; 0 = never.",
        readings.fetched_at,
    )
    yield gauge(
        "rqueue_worker_last_finish_timestamp_seconds",
        "When Redis last took what had become of jobs; 0 = never.",
        readings.finished_at,
    )
