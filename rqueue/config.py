"""Settings: frozen values, checked once, passed down; units stand in the names."""

from __future__ import annotations

import re
from itertools import pairwise
from math import inf
from typing import Any

import msgspec

from rqueue.errors import ConfigError
from rqueue.names import check_queue
from rqueue.protection import PLAIN, Protection
from rqueue.veiled import Veiled

KIB = 1024
MAX_PAYLOAD = 256 * KIB
"""Bytes of an encoded envelope, unless the app says otherwise."""
_SCHEMES = ("redis://", "rediss://", "unix://")
_PASSWORD = re.compile(r"(//[^/@:\s]*:)\S+@")
_PASSWORD_PARAMETER = re.compile(r"([?&]password=)[^&\s]+")
MAX_CRASHES = 3
"""Workers a job may kill before it is dead, where its task does not say."""
GENERATED_ID_WINDOW_MS = 60_000
"""How long a finished job of a generated id is remembered: longer than any client's retry."""
CHOSEN_ID_WINDOW_MS = 600_000
"""How long a finished job of an id that the caller chose is remembered."""


def check_range(value: object, name: str, low: float, high: float, *, whole: bool = False) -> float:
    """Return a number within its bounds, or raise ``ConfigError`` that names them."""
    kinds = int if whole else int | float
    if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high:
        return value
    kind = "a whole number" if whole else "a number"
    message = f"{name} {value!r} must be {kind} from {low:g} to {high:g}"
    raise ConfigError(message)


def check_url(url: object) -> str:
    """Return the URL of a Redis, or raise ``ConfigError``; the whole of it is read at first use."""
    if isinstance(url, str) and url.startswith(_SCHEMES):
        return url
    message = f"a Redis URL begins with {', '.join(_SCHEMES)}, as in redis://localhost:6379/0"
    raise ConfigError(message)


def shown(url: str) -> str:
    """A URL without its password, for logs and errors."""
    return _PASSWORD_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***@", url))


class StoreConfig(Veiled, msgspec.Struct, frozen=True, kw_only=True):
    """How Redis is reached, and how calls, results and errors stand in it.

    Attributes:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        namespace: first part of every key.
        timeout_s: longest wait for one answer.
        retry_s: how long an operation that is safe to repeat is repeated without an answer.
        protection: signs or encrypts what is written, and checks what is read.
        max_payload: bytes of an envelope at the most: more is neither sent nor decoded.
    """

    url: str
    namespace: str = "rqueue"
    timeout_s: float = 5.0
    retry_s: float = 10.0
    protection: Protection = PLAIN
    max_payload: int = MAX_PAYLOAD

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Its fields, the URL without its password."""
        return [("url", shown(self.url)), *super().__rich_repr__()[1:]]


class LeaseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, ``lease_s``; the other times follow from it (``docs/architecture.md``)."""

    lease_s: float = 15.0

    def __post_init__(self) -> None:
        """Refuse leases that a slow second would lose, or that nobody would wait for."""
        check_range(self.lease_s, "lease", 0.3, 3600)

    @property
    def renew_s(self) -> float:
        """How often a lease is renewed, and all leases are looked at: four tries fit into one."""
        return self.lease_s / 4

    @property
    def gap_s(self) -> float:
        """Two looks further apart than this do not belong to one watch.

        A worker that is well may go unheard for a renewal's time, an outage that is just too short
        to be a gap, and the time after which it gives up waiting for an answer: 1/4 + 5/12 + 1/4 of
        a lease, which is less than one.
        """
        return self.lease_s * 5 / 12


class QueueShare(msgspec.Struct, frozen=True):
    """A queue a worker takes jobs from, and its weight among the others."""

    name: str
    weight: int = 1

    def __post_init__(self) -> None:
        """Check the name and the weight."""
        check_queue(self.name)
        if type(self.weight) is not int or not 1 <= self.weight <= 1000:
            message = f"queue {self.name!r}: weight {self.weight!r} must be 1 to 1000"
            raise ConfigError(message)


RUN_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
WAIT_S = (
    0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0,
)  # fmt: skip
_MOST_BOUNDS = 50


class Buckets(msgspec.Struct, frozen=True):
    """Upper bounds of the buckets in which a worker counts durations, seconds, ascending.

    Attributes:
        run: of what an attempt takes.
        wait: of how long jobs wait, and of how long they take from first to last.
    """

    run: tuple[float, ...] = RUN_S
    wait: tuple[float, ...] = WAIT_S

    def __post_init__(self) -> None:
        """Check that they ascend."""
        for name, bounds in (("run", self.run), ("wait", self.wait)):
            rises = all(low < high for low, high in pairwise((0.0, *bounds)))
            if not (1 <= len(bounds) <= _MOST_BOUNDS and rises and bounds[-1] < inf):
                message = (
                    f"buckets of {name}: {bounds} must be 1 to {_MOST_BOUNDS} numbers of seconds "
                    "above 0, each larger than the one before"
                )
                raise ConfigError(message)


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker process does.

    Attributes:
        queues: taken in this order, or by weight when a weight is not 1.
        concurrency: jobs run at a time.
        processes: workers that are started and stopped together, this one included: what scales
            counts them as one replica.
        lease: times of the lease.
        grace_s: how long a stopping worker lets its jobs go on.
        fairness: one fetch in this many looks from the lowest priority up; 0 = strict.
        burst: stop when the queues are empty.
        process_slots: processes for tasks of ``isolation="process"``; 0 = one for each core.
        stall_warn_s: log a loop that has not turned for this long.
        stall_limit_s: stop renewing the leases of such a loop.
        exit_when_stuck: end the process when it is fenced and its loop does not turn.
        force: run on a server that would break a promise, with a warning.
        buckets: in which it counts what jobs take.
        max_jobs: after so many attempts it takes no more jobs, and ends with the last that runs;
            0 = never.
        max_memory: it stops when the process uses so many bytes; 0 = never.
        history: add what it counts to the history of its queues, for ``rqueue stats``.
    """

    queues: tuple[QueueShare, ...] = (QueueShare("default"),)
    concurrency: int = 100
    processes: int = 1
    lease: LeaseConfig = LeaseConfig()
    grace_s: float = 25.0
    fairness: int = 10
    burst: bool = False
    process_slots: int = 0
    stall_warn_s: float = 1.0
    stall_limit_s: float = 60.0
    exit_when_stuck: bool = False
    force: bool = False
    buckets: Buckets = Buckets()
    max_jobs: int = 0
    max_memory: int = 0
    history: bool = True

    def __post_init__(self) -> None:
        """Check every range; one sentence names the field and what is allowed."""
        if not self.queues:
            message = "a worker needs at least one queue"
            raise ConfigError(message)
        names = [share.name for share in self.queues]
        if len(set(names)) != len(names):
            message = f"a queue is named twice: {', '.join(names)}"
            raise ConfigError(message)
        check_range(self.concurrency, "concurrency", 1, 10_000, whole=True)
        check_range(self.processes, "processes", 1, 1000, whole=True)
        check_range(self.grace_s, "grace", 0, 24 * 3600)
        check_range(self.fairness, "fairness", 0, 1_000_000, whole=True)
        check_range(self.process_slots, "process_slots", 0, 1024, whole=True)
        check_range(self.stall_warn_s, "stall_warn", 0.01, 24 * 3600)
        check_range(self.stall_limit_s, "stall_limit", 0.01, 24 * 3600)
        check_range(self.max_jobs, "max_jobs", 0, 10**12, whole=True)
        check_range(self.max_memory, "max_memory", 0, 2**60, whole=True)

    @property
    def is_weighted(self) -> bool:
        """Whether queues are drawn by weight instead of taken in order."""
        return any(share.weight != 1 for share in self.queues)


def parse_queues(text: str) -> tuple[QueueShare, ...]:
    """Read ``"mail,default"`` (in this order) or ``"mail:3,default:1"`` (by weight).

    Raises:
        ConfigError: a name or a weight is not allowed.
    """
    shares: list[QueueShare] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, weight = part.partition(":")
        if weight and not weight.isdecimal():
            message = f"queue {part!r}: the weight after the colon must be a whole number"
            raise ConfigError(message)
        shares.append(QueueShare(name, int(weight or 1)))
    return tuple(shares)
