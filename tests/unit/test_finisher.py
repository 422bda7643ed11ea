"""The finisher's batches: bounded by number and by size."""

from __future__ import annotations

from rqueue.job import Delivery
from rqueue.store.calls.entries import Settlement
from rqueue.worker.finisher import BATCH, BATCH_BYTES, Then, _fitting


def waiting(count: int, size: int) -> list[tuple[Settlement, Then]]:
    job = Delivery(queue="q", lane="normal", entry_id="1-0", job_id="j", envelope=b"", worker="w")
    one = Settlement(delivery=job, verb="complete", fields=("r", b"x" * size), size=size)
    return [(one, lambda _: None)] * count


def test_a_batch_is_bounded_by_number() -> None:
    assert [_fitting(waiting(n, 1)) for n in (1, BATCH, BATCH + 1)] == [1, BATCH, BATCH]


def test_a_batch_is_bounded_by_size() -> None:
    assert _fitting(waiting(10, BATCH_BYTES // 3)) == 3


def test_one_that_is_too_large_by_itself_still_goes() -> None:
    assert _fitting(waiting(2, BATCH_BYTES + 1)) == 1
