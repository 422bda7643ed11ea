"""Every key rqueue writes, one method or attribute each.

``Q`` is ``<namespace>:{<queue>}``. The braces make the queue the Redis Cluster hash tag: all keys
of a queue live in one slot, so every transition can be one script.

    Q:stream:<lane>  stream   jobs ready to run; group ``workers``
    Q:job:<id>       hash     the record of a job, see ``Field``
    Q:schedule       zset     id -> due ms
    Q:dead           zset     id -> died ms
    Q:leases         zset     worker -> counter; absent = fenced
    Q:unique:<key>   string   short id of the job that holds the key
    Q:meta           hash     ``paused``, caps, and counters that outlive the workers
    Q:waiters        hash     id -> channels of the clients that wait for its end
    Q:cancels        hash     id -> worker that must stop it
    Q:cron           zset     name of a schedule -> ms when it fires next; +inf = not by itself
    Q:plan:<name>    hash     a schedule, see ``PlanField``
    Q:ran:<name>     list     its latest ticks, the latest first
    Q:releases       hash     a set of declared schedules -> since when, and until when, it is alive
    Q:minute:<n>     hash     task -> what became of its jobs in that minute since the epoch
    Q:hour:<n>       hash     the same of an hour
    Q:failures       list     the latest failures, the latest first
    Q:booked         hash     worker -> number and time of what it last added to these
    Q:wake           channel  a job is due earlier than the scheduler knows
    Q:control        channel  to workers: cancel, pause, resume

    <namespace>:queues   set    every queue that was ever written
    <namespace>:workers  hash   worker id -> what it is, as msgpack
    <namespace>:schedules  hash  name of a schedule -> its queue
"""

from __future__ import annotations

from functools import lru_cache

from rqueue.names import PRIORITIES, check_namespace, check_queue

GROUP = "workers"
"""The consumer group of every stream."""

INTERNAL_LANES = ("released", "suspect", "last")
"""Streams that only rqueue writes: jobs given back by a stopping worker, jobs whose worker died,
jobs one crash from the cap."""
LANES = (*INTERNAL_LANES, *PRIORITIES)
"""Every stream of a queue, in the order they are fetched."""
USUAL_LANE = "normal"
"""Where a job is whose record names no lane."""


class Field:
    """Fields of the record ``Q:job:<id>``; short, because they are written once a job."""

    STATE = "s"
    ENTRY = "e"
    LANE = "l"
    PRIORITY = "p"
    DIGEST = "d"
    CREATED = "c"
    UNIQUE = "u"
    ENVELOPE = "m"
    ATTEMPTS = "a"
    CRASHES = "n"
    CRASHED_AT = "N"
    MAX_CRASHES = "x"
    TOKEN = "t"
    TASK = "k"
    RESULT = "r"
    RESULT_UNTIL = "z"
    BEGUN = "b"
    FINISHED = "f"
    WORKER = "w"
    REASON = "y"
    PARKED = "o"
    CANCEL = "g"
    MARK = "h"
    READY = "q"
    ERROR = "!"
    """Followed by the number of the attempt, or ``c`` and the number of the crash.

    Errors of an earlier life, before a requeue, have its token and a dot in between.
    """


class PlanField:
    """Fields of a schedule ``Q:plan:<name>``."""

    DEFINITION = "d"
    REVISION = "v"
    ORIGIN = "o"
    PAUSED = "q"
    MARK = "m"
    NEXT = "n"
    NEXT_DUE = "u"
    CREATED = "c"
    LAST_RUN = "r"
    LAST_SUCCESS = "s"
    LAST_JOB = "j"


class QueueKeys:
    """The keys of one queue."""

    __slots__ = (
        "_base",
        "booked",
        "cancels",
        "control",
        "cron",
        "dead",
        "failures",
        "jobs",
        "leases",
        "meta",
        "namespace",
        "of_enqueue",
        "of_finish",
        "queue",
        "releases",
        "schedule",
        "waiters",
        "wake",
    )

    def __init__(self, namespace: str, queue: str) -> None:
        self.namespace = check_namespace(namespace)
        self.queue = check_queue(queue)
        base = f"{namespace}:{{{queue}}}:"
        self._base = base
        self.schedule = base + "schedule"
        self.dead = base + "dead"
        self.leases = base + "leases"
        self.meta = base + "meta"
        self.waiters = base + "waiters"
        self.cancels = base + "cancels"
        self.cron = base + "cron"
        self.releases = base + "releases"
        self.failures = base + "failures"
        self.booked = base + "booked"
        self.wake = base + "wake"
        self.control = base + "control"
        self.jobs = base + "job:"
        self.of_enqueue = (
            self.meta, self.schedule, *map(self.stream, (*PRIORITIES, *INTERNAL_LANES)),
        )  # fmt: skip
        self.of_finish = (
            self.leases, self.meta, self.waiters, self.cancels, self.dead, self.schedule,
            *map(self.stream, LANES),
        )  # fmt: skip

    def stream(self, lane: str) -> str:
        """The stream of a lane."""
        return f"{self._base}stream:{lane}"

    def job(self, job_id: str) -> str:
        """The record of a job, by its short id."""
        return self.jobs + job_id

    def plan(self, name: str) -> str:
        """A schedule."""
        return f"{self._base}plan:{name}"

    def ran(self, name: str) -> str:
        """The history of a schedule."""
        return f"{self._base}ran:{name}"

    def asked(self, worker: str) -> str:
        """What a worker was asked last; it expires."""
        return f"{self._base}asked:{worker}"

    def told(self, token: str) -> str:
        """What a worker has answered; it expires."""
        return f"{self._base}told:{token}"

    def minute(self, number: int) -> str:
        """What was counted in a minute, by its number since the epoch."""
        return f"{self._base}minute:{number}"

    def hour(self, number: int) -> str:
        """What was counted in an hour."""
        return f"{self._base}hour:{number}"

    def unique(self, key: str) -> str:
        """The lock of a unique key."""
        return f"{self._base}unique:{key}"

    def unique_or(self, key: str, instead: str) -> str:
        """The lock of a unique key, or another declared key where there is none."""
        return self.unique(key) if key else instead


@lru_cache(maxsize=4096)
def queue_keys(namespace: str, queue: str) -> QueueKeys:
    """The keys of a queue; checked and built once."""
    return QueueKeys(namespace, queue)


def queues_registry(namespace: str) -> str:
    """The set of every queue."""
    return f"{namespace}:queues"


def workers_registry(namespace: str) -> str:
    """The hash of every worker."""
    return f"{namespace}:workers"


def schedules_registry(namespace: str) -> str:
    """The hash of every schedule."""
    return f"{namespace}:schedules"


def every_wake(namespace: str) -> str:
    """The pattern of all queues' wake channels."""
    return f"{namespace}:{{*}}:wake"


def client_channel(namespace: str, client: str) -> str:
    """The channel on which one client hears of jobs that ended."""
    return f"{namespace}:client:{client}"
