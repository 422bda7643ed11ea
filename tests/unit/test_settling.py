"""Settling: what the finish script is told of each outcome."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.envelope import Envelope
from rqueue.ids import shorten
from rqueue.job import Delivery
from rqueue.outcome import (
    Bury,
    Cancel,
    Complete,
    DeadReason,
    Expire,
    Outcome,
    Park,
    Release,
    SnoozeFor,
    TryAgain,
)
from rqueue.store.calls.entries import Settlement
from rqueue.worker.settling import Ran, kept_ms, settlement

HOUR = 3_600_000
GENERATED = shorten("01a20160-4c5a-7835-bbec-a58123e27e38")
JOB = Delivery(
    queue="q",
    lane="high",
    entry_id="7-1",
    job_id="order:17",
    envelope=b"call",
    worker="w1",
    priority="high",
    attempts=2,
)
RAN = Ran(
    delivery=JOB,
    envelope=Envelope(task="send", unique="u"),
    begun_ms=1700,
    result_ttl_s=3600,
)
WHO = ("k", "send", "b", 1700, "w", "w1")


def told(outcome: Outcome, ran: Ran = RAN) -> Settlement:
    return settlement(ran, outcome)


def expected(verb: str, *fields: Any, ms: int = 0, detail: str = "") -> Settlement:
    size = sum(len(one) for one in fields if isinstance(one, bytes))
    return Settlement(
        delivery=JOB, verb=verb, ms=ms, detail=detail, unique="u", fields=fields, size=size
    )


@pytest.mark.parametrize(
    ("outcome", "settled"),
    [
        (Complete(result=b"r"), expected("complete", *WHO, "r", b"r", "a", 3, ms=HOUR)),
        (
            TryAgain(delay_ms=50, error=b"e"),
            expected("retry", *WHO, "!3", b"e", "a", 3, ms=50),
        ),
        (
            Bury(reason=DeadReason.FAILED, error=b"e"),
            expected("bury", *WHO, "!3", b"e", "a", 3, detail="failed"),
        ),
        (
            Bury(reason=DeadReason.DECODE, error=b"e", attempted=False),
            expected("bury", *WHO, "!3", b"e", detail="decode"),
        ),
        (SnoozeFor(delay_ms=50), expected("snooze", *WHO, ms=50)),
        (
            Park(delay_ms=50, limit=9, error=b"e"),
            expected("park", *WHO, "!3", b"e", ms=50, detail="9"),
        ),
        (
            Park(delay_ms=50, limit=9, error=b"e", reason=DeadReason.NEWER),
            expected("park", *WHO, "!3", b"e", ms=50, detail="9 newer_version"),
        ),
        (Cancel(reason="gone"), expected("cancel", *WHO, ms=HOUR, detail="gone")),
        (Expire(), expected("expire", *WHO, ms=HOUR)),
        (Release(), expected("release")),
    ],
    ids=lambda one: one.verb,
)
def test_each_outcome_is_told_with_all_that_belongs_to_it(
    outcome: Outcome, settled: Settlement
) -> None:
    assert told(outcome) == settled


def test_an_attempt_whose_handler_never_began_has_no_worker_and_no_beginning() -> None:
    ran = Ran(delivery=JOB, envelope=Envelope(task="send"))

    assert told(Expire(), ran).fields == ("k", "send")


def test_an_envelope_that_could_not_be_read_has_no_task_and_no_lock() -> None:
    settled = told(Bury(reason=DeadReason.DECODE, error=b"e", attempted=False), Ran(delivery=JOB))

    assert (settled.fields, settled.unique) == (("!3", b"e"), "")


@pytest.mark.parametrize(
    ("job_id", "ttl_s", "kept", "fields"),
    [
        # Longer than the window of the id: the record goes with its result.
        (GENERATED, 3600, 3_600_000, ("r", b"v")),
        (GENERATED, 60, 60_000, ("r", b"v")),
        # Shorter: the record stays as long as the id must be known, the result does not.
        (GENERATED, 1, 60_000, ("r", b"v", "z", 1000)),
        (GENERATED, 0.0015, 60_000, ("r", b"v", "z", 2)),
        (GENERATED, 0, 60_000, ()),
        ("order:17", 3600, 3_600_000, ("r", b"v")),
        ("order:17", 60, 600_000, ("r", b"v", "z", 60_000)),
        ("order:17", 0, 600_000, ()),
    ],
)
def test_a_result_is_kept_for_its_time_and_an_id_for_its_window(
    job_id: str, ttl_s: float, kept: int, fields: tuple[Any, ...]
) -> None:
    delivery = Delivery(
        queue="q", lane="high", entry_id="7-1", job_id=job_id, envelope=b"", worker="w1"
    )

    settled = told(Complete(result=b"v"), Ran(delivery=delivery, result_ttl_s=ttl_s))

    assert (settled.ms, settled.fields) == (kept, fields)


def test_an_id_is_remembered_longer_than_the_retries_of_its_client() -> None:
    assert (kept_ms(GENERATED, 0), kept_ms("order:17", 0)) == (60_000, 600_000)
