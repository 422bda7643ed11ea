"""When a schedule ticks, as its user says it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypedDict

from rqueue.errors import ConfigError
from rqueue.options import Seconds, period
from rqueue.schedule import DST, Missed, Overlap


class Timing(TypedDict, total=False):
    """What a schedule takes beside its name, its call and when it ticks.

    Keys:
        tz: the zone in which the expression is read; ``UTC``.
        dst: a local time that comes twice or not at all: ``once`` (exactly one tick), ``skip``
            (none where it does not exist, one where it comes twice) or ``both`` (whenever the clock
            shows it). Left out: ``both`` where the hour is ``*``, else ``once``.
        missed: ticks that nobody could fire: ``latest`` (the last one fires), ``skip`` (none) or
            ``all``.
        missed_cap: how many ``all`` makes up for; 100.
        catch_up: seconds, or a text such as ``6h``; what is older is not made up for. However old
            by default.
        overlap: a tick while the run before goes on: ``skip`` (it makes no job), ``queue`` (it
            waits for the end), ``cancel_running`` or ``allow``. Left out: ``queue`` where
            ``missed`` is ``all``, else ``skip``.
        jitter: seconds, or a text such as ``5m``; every tick is late by a part of it, always the
            same for one schedule.
        start: an aware time before which it does not tick.
        end: an aware time after which it does not.
    """

    tz: str
    dst: DST
    missed: Missed
    missed_cap: int
    catch_up: Seconds
    overlap: Overlap
    jitter: Seconds
    start: datetime
    end: datetime


def settings_of(cron: str | None, every: Seconds | None, timing: Timing) -> dict[str, Any]:
    """The fields of a ``Schedule`` from what its user says.

    Raises:
        ConfigError: something is not allowed.
    """
    unknown = set(timing) - set(Timing.__annotations__)
    if unknown:
        raise ConfigError(
            f"a schedule has no option {min(unknown)!r}; "
            f"there are {', '.join(Timing.__annotations__)}"
        )
    told = {
        _FIELDS.get(name, name): _READ.get(name, _as_it_is)(value) for name, value in timing.items()
    }
    if told.get("missed") == "all":  # made up for at once, they would all overlap
        told.setdefault("overlap", "queue")
    if cron is not None:
        told["cron"] = cron
    if every is not None:
        told["every_s"] = period(every)
    return told


_FIELDS = {
    "catch_up": "catch_up_s", "jitter": "jitter_s", "start": "start_ms", "end": "end_ms",
}  # fmt: skip
_READ: dict[str, Callable[[Any], Any]] = {
    "catch_up": period,
    "jitter": period,
    "start": lambda value: moment_ms(value, "start"),
    "end": lambda value: moment_ms(value, "end"),
}


def _as_it_is(value: Any) -> Any:
    return value


def moment_ms(value: datetime, name: str) -> int:
    """Milliseconds since the epoch of an aware time.

    Raises:
        ConfigError: it has no time zone.
    """
    if not isinstance(value, datetime) or value.tzinfo is None:  # pyright: ignore[reportUnnecessaryIsInstance] - a user's
        raise ConfigError(f"{name} {value!r:.80} must be a datetime with a time zone")
    return round(value.timestamp() * 1000)
