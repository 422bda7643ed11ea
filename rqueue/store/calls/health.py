"""What a queue shows beside its numbers: leases, late schedules, parked jobs, causes of death."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rqueue.ids import lengthen
from rqueue.store.call import Call, Flow
from rqueue.store.calls.ages import Ages, ages
from rqueue.store.calls.cron import time_ms
from rqueue.store.calls.leases import leases
from rqueue.store.calls.queues import QueueInfo, dead, look
from rqueue.store.keys import Field, QueueKeys
from rqueue.store.replies import scores, texts

SAMPLE = 100
"""How many of the jobs that are due first, and of the latest dead ones, are looked at."""


class QueueHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a queue fares.

    Attributes:
        info: its numbers.
        ages: of its oldest work.
        standing: workers with a lease, and where their counters stand.
        late_s: for how long the schedule is due that fires next; 0 = none is.
        parked: ids of jobs that no worker would run, among the ``SAMPLE`` that are due first.
        deaths: reason -> how many, of the latest ``SAMPLE`` dead jobs.
    """

    info: QueueInfo
    ages: Ages
    standing: Mapping[str, float]
    late_s: float
    parked: Sequence[str]
    deaths: Mapping[str, int]


def queue_health(keys: QueueKeys) -> Flow[QueueHealth]:
    """Everything, in five trips."""
    info: QueueInfo = yield from look(keys)
    old: list[Ages] = yield from ages([keys])
    now_ms, standing, (firing,), waiting, died = yield [
        time_ms(),
        leases(keys),
        Call(("ZRANGE",), (keys.cron,), (0, 0, "WITHSCORES"), _first_score).or_absent([]),
        Call(("ZRANGE",), (keys.schedule,), (0, SAMPLE - 1), texts).or_absent([]),
        dead(keys, 0, SAMPLE),
    ]
    parked: list[str] = yield [_field(keys, one, Field.PARKED) for one in waiting]
    reasons: list[str] = yield [_field(keys, one, Field.REASON) for one, _ in died]
    return QueueHealth(
        info=info,
        ages=old[0],
        standing=standing,
        late_s=max(0.0, (now_ms - firing) / 1000) if math.isfinite(firing) else 0.0,
        parked=[lengthen(one) for one, count in zip(waiting, parked, strict=True) if count],
        deaths=Counter(one or "unknown" for one in reasons),
    )


def _first_score(reply: Any) -> list[float]:
    return [score for _, score in scores(reply)] or [math.inf]


def _field(keys: QueueKeys, job_id: str, name: str) -> Call[str]:
    call = Call(("HGET",), (keys.job(job_id),), (name,), lambda reply: texts([reply or b""])[0])
    return call.or_absent(b"")
