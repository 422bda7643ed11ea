"""Jobs of schedules that are traced."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from rqueue.config import StoreConfig
from rqueue.envelope import open_envelope, seal
from rqueue.errors import PayloadTooLarge
from rqueue.schedule import Schedule, headers_of, tick_name
from rqueue.schedules.making import job_of
from rqueue.store.calls.jobs import NewJob
from rqueue.tracing import Outgoing, Sending, safely

Begin = Callable[[Outgoing], Sending]


def traced_job(
    begin: Begin | None, schedule: Schedule, tick_ms: int, config: StoreConfig, job_id: str = ""
) -> tuple[NewJob, Sending | None]:
    """As ``making.job_of``, and what traces it; without its context if it is too large with it.

    Args:
        begin: begins the trace; None = nothing is traced.
        schedule: whose job it is.
        tick_ms: of which tick, or the time of a run beside all ticks.
        config: how Redis is reached, and what is sent there.
        job_id: of a run beside all ticks.

    Raises:
        CodecError: the call in the schedule cannot be read.
        PayloadTooLarge: protected, it is above the limit.
    """
    sending = None
    if begin is not None:
        told = _outgoing(schedule, tick_ms, config.url, job_id)
        sending = safely(lambda: begin(told))
    if sending is not None:
        traced = _carrying(schedule, sending.headers[0])
        try:
            return _made(traced, tick_ms, config, job_id), sending
        except PayloadTooLarge:
            sending.leave_out([0])
    return _made(schedule, tick_ms, config, job_id), sending


def ended(sending: Sending | None, said: str, error: BaseException | None = None) -> None:
    """Tell what became of it: a word of the script that fires, or what was raised."""
    if sending is not None:
        safely(lambda: sending.end([said] if said else [], error))


def _made(schedule: Schedule, tick_ms: int, config: StoreConfig, job_id: str) -> NewJob:
    return job_of(schedule, tick_ms, config.protection, config.max_payload, job_id=job_id)


def _outgoing(schedule: Schedule, tick_ms: int, url: str, job_id: str) -> Outgoing:
    headers = open_envelope(schedule.envelope).envelope.headers
    return Outgoing(
        queue=schedule.queue,
        task=schedule.task,
        job_id=job_id or tick_name(schedule.name, tick_ms),
        priority=schedule.priority,
        headers={**headers, **headers_of(schedule.name, tick_ms)},
        url=url,
    )


def _carrying(schedule: Schedule, headers: Mapping[str, str]) -> Schedule:
    envelope = open_envelope(schedule.envelope).envelope
    envelope.headers = dict(headers)
    return msgspec.structs.replace(schedule, envelope=seal(envelope))
