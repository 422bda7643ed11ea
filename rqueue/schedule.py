"""A schedule: which call is made when, and what is done on the odd days. Frozen, pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal, get_args

import msgspec

from rqueue.config import check_range
from rqueue.cron import Cron, Every, Ticks
from rqueue.errors import CodecError, ConfigError
from rqueue.names import check_queue, check_task

Missed = Literal["skip", "latest", "all"]
Overlap = Literal["skip", "queue", "cancel_running", "allow"]
DST = Literal["once", "skip", "both"]

LATE_MS = 60_000
"""A tick that could not fire for so long is missed, and so is one before another that is due."""
_MOST_MISSED = 10_000
_LONGEST_JITTER_S = 24 * 3600
_LONGEST_CATCH_UP_S = 3660 * 24 * 3600
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.<>-]{0,79}\Z")


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which call is made when.

    Attributes:
        name: of the schedule; its jobs are called ``<name>@<tick>``.
        queue: where its jobs go.
        task: the task's name.
        cron: five fields, or six with seconds in front; "" where ``every_s`` says when.
        every_s: seconds from tick to tick, counted from 1970 on, so that all agree.
        tz: the zone in which the fields of ``cron`` are read.
        dst: what a change of the clocks does; see ``rqueue.cron``. "" = what suits the expression.
        missed: ticks that nobody could fire: ``skip`` drops them, ``latest`` fires the last one,
            ``all`` fires each.
        missed_cap: how many ``all`` makes up for; older ones are dropped.
        catch_up_s: ticks older than that are not made up for; 0 = however old.
        overlap: a tick while the run before goes on: ``skip`` drops the tick, ``queue`` waits for
            the end, ``cancel_running`` cancels the run before, ``allow`` runs both.
        jitter_s: every tick is late by a part of it, always the same for this schedule.
        start_ms: the first moment at which a tick may be; 0 = any.
        end_ms: the last one; 0 = any.
        envelope: the call, without what differs from run to run.
        priority: of its jobs.
        max_crashes: of its jobs; 0 = the default.
        expires_s: seconds after a tick beyond which its job is not started; 0 = never.
        deadline_s: seconds after a tick beyond which its job does not run; 0 = none.
    """

    name: str
    queue: str
    task: str
    cron: str = ""
    every_s: float = 0
    tz: str = "UTC"
    dst: str = ""
    missed: Missed = "latest"
    missed_cap: int = 100
    catch_up_s: float = 0
    overlap: Overlap = "skip"
    jitter_s: float = 0
    start_ms: int = 0
    end_ms: int = 0
    envelope: bytes = b""
    priority: str = "normal"
    max_crashes: int = 0
    expires_s: float = 0
    deadline_s: float = 0

    def ticks(self) -> Ticks:
        """When it ticks.

        Raises:
            ConfigError: the expression, the zone or the period is none.
        """
        if self.cron:
            return Cron.parse(self.cron, self.tz, _dst(self.dst))
        return Every.of(self.every_s)

    @property
    def jitter_ms(self) -> int:
        """How late every tick is: drawn from the name, so that all schedulers agree."""
        if not self.jitter_s:
            return 0
        drawn = int.from_bytes(blake2b(self.name.encode(), digest_size=8).digest())
        return drawn % round(self.jitter_s * 1000)

    @property
    def timing(self) -> tuple[object, ...]:
        """What says when it ticks: of two that agree in it, one goes on where the other was."""
        return (self.cron, self.every_s, self.tz, self.dst, self.start_ms, self.end_ms)

    def revision(self, key: bytes) -> str:
        """Tells this definition from another; keyed, for it may hold what must not be guessed."""
        return blake2b(encode(self), digest_size=8, key=key, person=b"rqueue-plan").hexdigest()


def check(schedule: Schedule) -> Schedule:
    """Return a schedule whose every value is allowed, and that ticks at least once.

    Raises:
        ConfigError: it names the field, and what is allowed.
    """
    check_name(schedule.name)
    check_queue(schedule.queue)
    check_task(schedule.task)
    if bool(schedule.cron) == bool(schedule.every_s):
        raise ConfigError(f"schedule {schedule.name!r}: give a cron expression or a period")
    for name, kind in (("missed", Missed), ("overlap", Overlap), ("dst", DST)):
        value, allowed = getattr(schedule, name), get_args(kind)
        if value not in allowed and (name != "dst" or value):
            raise ConfigError(f"{name} {value!r} is not one of {', '.join(allowed)}")
    if schedule.overlap == "queue" and schedule.missed == "skip":
        raise ConfigError(
            f"schedule {schedule.name!r}: overlap='queue' with missed='skip' would queue nothing, "
            "for a tick that waited is a late one; choose missed='latest' or 'all'"
        )
    check_range(schedule.missed_cap, "missed_cap", 1, _MOST_MISSED, whole=True)
    check_range(schedule.jitter_s, "jitter", 0, _LONGEST_JITTER_S)
    check_range(schedule.catch_up_s, "catch_up", 0, _LONGEST_CATCH_UP_S)
    if schedule.end_ms and schedule.end_ms < schedule.start_ms:
        raise ConfigError(f"schedule {schedule.name!r} ends before it starts")
    schedule.ticks()
    return schedule


def check_name(name: object) -> str:
    """Return the name of a schedule, or raise ``ConfigError``."""
    if isinstance(name, str) and _NAME.match(name):
        return name
    raise ConfigError(
        f"schedule name {name!r:.80} is not allowed: it must be 1-80 characters of "
        "A-Z a-z 0-9 _ . < > -, beginning with a letter"
    )


def _dst(text: str) -> Any:
    return text or None


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Schedule)


def encode(schedule: Schedule) -> bytes:
    """A schedule as it is kept."""
    return _encoder.encode(schedule)


def decode(data: bytes) -> Schedule:
    """A schedule that was kept.

    Raises:
        CodecError: the bytes are none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise CodecError(f"not a schedule: {error}") from error


class Step(msgspec.Struct, frozen=True):
    """What a scheduler does next with a schedule.

    Attributes:
        verdict: ``run`` or ``pass``.
        tick_ms: the tick that is done with it.
        since_ms: the first tick that is passed over with it; 0 = none is.
        next_ms: the tick after it; 0 = there is none.
    """

    verdict: Literal["run", "pass"]
    tick_ms: int
    since_ms: int
    next_ms: int


def first_tick(schedule: Schedule, ticks: Ticks, after_ms: int) -> int:
    """The first tick after a moment; 0 = there is none."""
    found = ticks.next_after(max(after_ms, schedule.start_ms - 1)) or 0
    return 0 if schedule.end_ms and found > schedule.end_ms else found


def ticks_within(schedule: Schedule, first_ms: int, last_ms: int) -> Iterator[int]:
    """Its ticks from one moment to another, both included, within its start and end."""
    last = min(last_ms, schedule.end_ms) if schedule.end_ms else last_ms
    return schedule.ticks().between(max(first_ms, schedule.start_ms), last)


def next_step(schedule: Schedule, ticks: Ticks, mark_ms: int, now_ms: int) -> Step | None:
    """What is to be done with the ticks since the last one; None = nothing yet.

    Args:
        schedule: which one.
        ticks: its ticks.
        mark_ms: the last tick that is done.
        now_ms: Redis' clock.
    """
    first = first_tick(schedule, ticks, mark_ms)
    until = now_ms - schedule.jitter_ms
    if not first or first > until:
        return None
    last = min(until, schedule.end_ms) if schedule.end_ms else until
    wanted = schedule.missed_cap if schedule.missed == "all" else 1
    latest = _latest(ticks, first, last, wanted)
    chosen = [tick for tick in latest if _is_worth(schedule, tick, now_ms)]
    tick = chosen[0] if chosen else latest[-1]
    return Step(
        "run" if chosen else "pass",
        tick,
        first if first < tick or not chosen else 0,
        first_tick(schedule, ticks, tick),
    )


def _is_worth(schedule: Schedule, tick: int, now_ms: int) -> bool:
    late = now_ms - schedule.jitter_ms - tick
    if schedule.missed == "skip":
        return late <= LATE_MS
    return not schedule.catch_up_s or late <= schedule.catch_up_s * 1000


def _latest(ticks: Ticks, first_ms: int, last_ms: int, count: int) -> list[int]:
    """The latest so many ticks from the first on, oldest first; at least one.

    Looked for backwards: after a year without a scheduler nobody shall wait for a year's ticks.
    """
    back = LATE_MS
    while True:
        begin = max(first_ms, last_ms - back)
        found = list(ticks.between(begin, last_ms))
        if len(found) >= count or begin == first_ms:
            return found[-count:]
        back *= 8


def tick_name(schedule: str, tick_ms: int) -> str:
    """The id of the job of a tick: ``nightly@2026-11-26T02:00:00Z``."""
    moment = datetime.fromtimestamp(tick_ms / 1000, UTC).replace(tzinfo=None)
    return f"{schedule}@{moment.isoformat(timespec='seconds')}Z"


def headers_of(schedule: str, tick_ms: int) -> Mapping[str, str]:
    """What a job carries of the schedule that made it."""
    return {"rqueue-schedule": schedule, "rqueue-tick": str(tick_ms)}
