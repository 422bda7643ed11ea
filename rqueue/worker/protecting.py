"""Between a worker and its keys: calls are opened before they run, outcomes protected after."""

from __future__ import annotations

import logging

import msgspec

from rqueue.config import StoreConfig
from rqueue.envelope import OpenedEnvelope, open_envelope
from rqueue.errors import CodecError, ProtectionError
from rqueue.ids import lengthen
from rqueue.job import Delivery
from rqueue.outcome import Bury, Complete, DeadReason, Outcome, Park, TryAgain
from rqueue.protection import PLAIN, Protection
from rqueue.worker.runners import encoded_error

logger = logging.getLogger("rqueue")

PARK_MS = 15_000
"""How long a job waits for a worker that knows its task, or has keys."""
PARK_LIMIT = 240
"""How often it waits before it is dead: an hour of rolling deploy."""


def open_call(delivery: Delivery, store: StoreConfig) -> OpenedEnvelope | Outcome:
    """The envelope; or what becomes of a job whose bytes are hostile, or protected otherwise.

    Size, then keys, then decoding: what is not ours costs little and reaches no decoder. Decoded
    data can take 64 times as much memory, so the bound is what the app itself may send.
    """
    if len(delivery.envelope) > store.max_payload:
        told = _told(delivery, "PayloadTooLarge", _too_large(delivery, store.max_payload))
        return Bury(reason=DeadReason.TOO_LARGE, error=told, attempted=False)
    try:
        sealed = store.protection.open(delivery.envelope, "call", delivery.queue, delivery.job_id)
        return open_envelope(sealed)
    except ProtectionError as error:
        told = _told(delivery, "ProtectionError", str(error))
        if error.reason == "no_keys":  # this worker's fault: others may have them
            logger.warning("no keys here for job=%s: parked", delivery.job_id)
            return Park(delay_ms=PARK_MS, limit=PARK_LIMIT, error=told)
        return Bury(reason=DeadReason(error.reason), error=told, attempted=False)
    except CodecError as error:
        told = _told(delivery, "CodecError", str(error))
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


def _too_large(delivery: Delivery, largest: int) -> str:
    size = len(delivery.envelope)
    return (
        f"an envelope of {size:,} bytes; this worker decodes at most {largest:,}. "
        "If it is yours, give the workers an App(max_payload=...) that is at least the producers' "
        f"(raise it on workers first), then: rqueue dead retry {lengthen(delivery.job_id)} "
        f"--queue {delivery.queue}"
    )


def _told(delivery: Delivery, kind: str, text: str) -> bytes:
    return encoded_error(delivery.attempts + 1, kind, text, delivery.worker)
