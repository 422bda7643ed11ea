"""What may not begin any more: it expired, or its deadline or its time for retries is over.

All three are moments by the clocks of producers and workers; Redis does not open an envelope.
"""

from __future__ import annotations

from rqueue.clock import now_ms
from rqueue.envelope import Envelope
from rqueue.ids import made_ms
from rqueue.job import Delivery
from rqueue.outcome import Bury, DeadReason, Expire
from rqueue.retry import Retry
from rqueue.worker.runners import encoded_error


def too_late(envelope: Envelope, delivery: Delivery) -> Expire | Bury | None:
    """What becomes of a job that may not begin any more; None = it may."""
    now = now_ms()
    if envelope.expires and now >= envelope.expires:
        return Expire()
    if envelope.deadline and now >= envelope.deadline:
        over_s = (now - envelope.deadline) / 1000
        told = f"its deadline passed {over_s:g} s before this attempt could begin"
        return _buried(delivery, DeadReason.DEADLINE, "DeadlinePassed", told)
    return None


def too_late_to_retry(envelope: Envelope, delivery: Delivery, retry: Retry) -> Bury | None:
    """The same of a job that failed before, by its policy."""
    age = age_s(envelope, delivery)
    if not delivery.attempts or retry.reaches(age):
        return None
    told = f"no attempt begins {age:g} s after the enqueue: its policy has until={retry.until:g}"
    return _buried(delivery, DeadReason.TOO_LATE, "RetryTooLate", told)


def age_s(envelope: Envelope, delivery: Delivery) -> float:
    """Seconds since the enqueue; 0 where nobody tells when that was."""
    created = envelope.created or made_ms(delivery.job_id)
    return (now_ms() - created) / 1000 if created else 0.0


def left_s(envelope: Envelope) -> float | None:
    """Seconds until the deadline; None = there is none."""
    return (envelope.deadline - now_ms()) / 1000 if envelope.deadline else None


def _buried(delivery: Delivery, reason: DeadReason, kind: str, text: str) -> Bury:
    error = encoded_error(delivery.attempts + 1, kind, text, delivery.worker)
    return Bury(reason=reason, error=error, attempted=False)
