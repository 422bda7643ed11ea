"""What is told of attempts to whoever traces them."""

from __future__ import annotations

from collections.abc import Mapping

from rqueue.clock import now_ms
from rqueue.codec import decode_error
from rqueue.envelope import Envelope
from rqueue.ids import lengthen
from rqueue.job import Delivery
from rqueue.outcome import Bury, Cancel, Outcome, Park, TryAgain
from rqueue.tracing import Ended, Incoming, Processing, Tracing, safely
from rqueue.worker.attempt import Attempt
from rqueue.worker.lateness import age_s
from rqueue.worker.prepared import Prepared, Refused


def begin(tracing: Tracing, job: Prepared, url: str, skew_ms: float) -> Processing | None:
    """The handler of a job is about to begin.

    Args:
        tracing: who is told.
        job: what is run.
        url: of the Redis that it came from.
        skew_ms: what has to be added to this machine's clock to get Redis'.
    """
    delivery, envelope = job.ran.delivery, job.opened.envelope
    return safely(lambda: tracing.process(_incoming(delivery, envelope, url, skew_ms)))


def refused(tracing: Tracing, job: Refused, url: str, skew_ms: float) -> None:
    """A job cannot be run; one that is parked may run elsewhere, so nothing is told of that."""
    envelope, outcome = job.ran.envelope, job.outcome
    if envelope is None or isinstance(outcome, Park):
        return

    def tell() -> None:
        incoming = _incoming(job.ran.delivery, envelope, url, skew_ms)
        tracing.process(incoming).end(_ended(outcome))

    safely(tell)


def end(span: Processing, attempt: Attempt, outcome: Outcome | None) -> None:
    """An attempt has ended; Redis has not answered yet."""
    is_ours = not attempt.lease.is_fenced
    safely(lambda: span.end(_ended(outcome if is_ours else None)))


def _incoming(delivery: Delivery, envelope: Envelope, url: str, skew_ms: float) -> Incoming:
    ready, _, _ = delivery.entry_id.partition("-")
    waited = now_ms() + skew_ms - int(ready)
    headers: Mapping[str, str] = envelope.headers
    return Incoming(
        queue=delivery.queue,
        task=envelope.task,
        job_id=lengthen(delivery.job_id),
        attempt=delivery.attempts + 1,
        priority=delivery.priority,
        wait_ms=max(0, round(waited)),
        age_s=age_s(envelope, delivery),
        worker=delivery.worker,
        headers=headers,
        url=url,
    )


def _ended(outcome: Outcome | None) -> Ended:
    match outcome:
        case None:
            return Ended(outcome="fenced")
        case Bury():
            error = decode_error(outcome.error)
            return Ended(outcome=outcome.verb, reason=outcome.reason.value, error=error)
        case TryAgain():
            return Ended(outcome=outcome.verb, error=decode_error(outcome.error))
        case Cancel():
            return Ended(outcome=outcome.verb, reason=outcome.reason)
        case _:
            return Ended(outcome=outcome.verb)
