"""Calls of other versions than the task's: older ones are lifted, newer ones wait for others."""

from __future__ import annotations

import logging

import msgspec

from rqueue.codec import capped, describe, encode_error
from rqueue.envelope import Envelope, OpenedEnvelope
from rqueue.ids import lengthen
from rqueue.job import Delivery
from rqueue.outcome import Bury, Cancel, DeadReason, Discard, Park
from rqueue.redaction import unchanged
from rqueue.worker import protecting
from rqueue.worker.runners import AnyTask, encoded_error

logger = logging.getLogger("rqueue")


def parked(delivery: Delivery, envelope: Envelope, task: AnyTask | None) -> Park:
    """A call that this release knows nothing of; the worker of a newer one may take it."""
    attempt, worker, job_id = delivery.attempts + 1, delivery.worker, lengthen(delivery.job_id)
    if task is None:
        reason = DeadReason.UNKNOWN_TASK
        logger.warning("unknown task=%.100r job=%s: parked", envelope.task, job_id)
        told = encoded_error(attempt, "UnknownTask", f"no worker knew {envelope.task!r}", worker)
    else:
        reason, known = DeadReason.NEWER, task.declared.version
        logger.warning(
            "newer version=%d of task=%.100s job=%s, here it is %d: parked",
            envelope.version, envelope.task, job_id, known,
        )  # fmt: skip
        text = (
            f"the call is of version {envelope.version} of {envelope.task!r}, and this worker knew "
            f"{known} as the latest: a newer release sent it. Upgrade the workers; if it is dead "
            f"by then: rqueue dead retry {job_id} --queue {delivery.queue}"
        )
        told = encoded_error(attempt, "NewerVersion", text, worker)
    return Park(delay_ms=protecting.PARK_MS, limit=protecting.PARK_LIMIT, error=told, reason=reason)


def lift(
    task: AnyTask, opened: OpenedEnvelope, delivery: Delivery
) -> OpenedEnvelope | Bury | Cancel:
    """An older call with the task's present arguments; or what becomes of one that has none.

    In the event loop: an upgrade is as quick as the decoding that it belongs to.
    """
    for version in range(opened.envelope.version, task.declared.version):
        try:
            opened = task.upgrades.get(version).lift(opened)
        except BaseException as error:  # SystemExit of an upgrade is a failure, not our exit
            return _failed(task, opened, delivery, error)
    return opened


def lifted_from(envelope: Envelope, task: AnyTask) -> str:
    """The beginning of an error about arguments that are not those that were sent."""
    if envelope.version == task.declared.version:
        return ""
    return f"lifted from version {envelope.version}: "


def _failed(
    task: AnyTask, opened: OpenedEnvelope, delivery: Delivery, error: BaseException
) -> Bury | Cancel:
    version = opened.envelope.version
    step = task.upgrades.find(version)
    redact = unchanged if step is None else step.redactor(opened)
    attempt, worker = delivery.attempts + 1, delivery.worker
    told = describe(error, attempt=attempt, worker=worker, redact=redact)
    if isinstance(error, Discard):
        return Cancel(reason=told.message)
    text = capped(f"version {version} of {task.name!r} was not lifted: {told.message}")
    told = msgspec.structs.replace(told, message=text)
    return Bury(reason=DeadReason.UPGRADE, error=encode_error(told), attempted=False)
