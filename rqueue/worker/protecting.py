"""Between a worker and its keys: calls are opened before they run, outcomes protected after."""

from __future__ import annotations

import logging

import msgspec

from rqueue.config import KIB
from rqueue.envelope import OpenedEnvelope, check_size, open_envelope
from rqueue.errors import CodecError, ProtectionError
from rqueue.job import Delivery
from rqueue.outcome import Bury, Complete, DeadReason, Outcome, Park, TryAgain
from rqueue.protection import PLAIN, Protection
from rqueue.worker.runners import encoded_error

logger = logging.getLogger("rqueue")

LARGEST_ENVELOPE = 16 * KIB * KIB
"""Bytes a worker decodes at the most, whoever wrote them: decoding may take 64 times as much."""
PARK_MS = 15_000
"""How long a job waits for a worker that knows its task, or has keys."""
PARK_LIMIT = 240
"""How often it waits before it is dead: an hour of rolling deploy."""


def open_call(delivery: Delivery, protection: Protection) -> OpenedEnvelope | Outcome:
    """The envelope; or what becomes of a job whose bytes are hostile, or protected otherwise.

    Size, then keys, then decoding: what is not ours costs little and reaches no decoder.
    """
    try:
        check_size(delivery.envelope, LARGEST_ENVELOPE)
        sealed = protection.open(delivery.envelope, "call", delivery.queue, delivery.job_id)
        return open_envelope(sealed)
    except ProtectionError as error:
        told = _told(delivery, "ProtectionError", error)
        if error.reason == "no_keys":  # this worker's fault: others may have them
            logger.warning("no keys here for job=%s: parked", delivery.job_id)
            return Park(delay_ms=PARK_MS, limit=PARK_LIMIT, error=told)
        return Bury(reason=DeadReason(error.reason), error=told, attempted=False)
    except CodecError as error:
        told = _told(delivery, "CodecError", error)
        return Bury(reason=DeadReason.DECODE, error=told, attempted=False)


def protected(outcome: Outcome, job: Delivery, protection: Protection) -> Outcome:
    """The same outcome with its result or error as it goes to Redis."""
    if protection is PLAIN:
        return outcome
    match outcome:
        case Complete():
            result = protection.protect(outcome.result, "result", job.queue, job.job_id)
            return msgspec.structs.replace(outcome, result=result)
        case Bury() | TryAgain() | Park():
            error = protection.protect(outcome.error, "error", job.queue, job.job_id)
            return msgspec.structs.replace(outcome, error=error)
        case _:
            return outcome


def _told(delivery: Delivery, kind: str, error: Exception) -> bytes:
    return encoded_error(delivery.attempts + 1, kind, str(error), delivery.worker)
