"""What is dubious about schedules, as far as it can be seen from outside. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from math import ceil

import msgspec

from rqueue.clock import from_ms
from rqueue.cron import Cron
from rqueue.redaction import REDACTED
from rqueue.schedule import Schedule
from rqueue.schedules.info import ScheduleInfo
from rqueue.zone import zone_of

_MANY = 10
_DAY_MS = 86_400_000
_YEAR_MS = 366 * _DAY_MS
_MOST_TICKS = 2_000
"""Of one schedule in a day: one that ticks each second is not followed to the day's end."""
_PERIODS = 100

_AFTER_GAP = {
    "once": "dst 'once' fires it at {shown}, when the clock jumps",
    "skip": "dst 'skip' drops that tick",
    "both": "dst 'both' drops that tick",
}
_OVERLAPS = {
    "skip": "ticks are dropped while a run goes on",
    "queue": "runs queue up",
    "cancel_running": "runs are cancelled by the next",
    "allow": "runs pile up beside each other",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something dubious.

    Attributes:
        check: which check says so: ``problem``, ``over``, ``duplicate``, ``crowd``, ``slow`` or
            ``gap``.
        schedules: names of those that it is about.
        text: what is the matter, and what to do.
    """

    check: str
    schedules: tuple[str, ...]
    text: str


def findings(
    schedules: Sequence[ScheduleInfo],
    now_ms: int,
    run_times: Mapping[str, Sequence[float]],
) -> list[Finding]:
    """What is dubious; of paused schedules nothing is, for they do not fire.

    Args:
        schedules: all there are.
        now_ms: the moment from which on they are looked at.
        run_times: seconds that the latest jobs of a schedule ran, by its name.
    """
    open_ones = [one for one in schedules if not one.is_paused]
    alive = [one for one in open_ones if not one.problem and one.next_run is not None]
    found = [_of("problem", one, one.problem) for one in open_ones if one.problem]
    found += [
        _of("over", one, "it never fires again: delete it, or give it a later end")
        for one in open_ones
        if not one.problem and one.next_run is None
    ]
    found += [*_duplicates(alive), *_crowds(alive, now_ms)]
    for one in alive:
        found += [*_slow(one, now_ms, run_times.get(one.name, ())), *_gaps(one, now_ms)]
    return found


def _duplicates(schedules: Sequence[ScheduleInfo]) -> Iterator[Finding]:
    same: dict[object, list[str]] = defaultdict(list)
    for one in schedules:
        values = (*one.args, *one.kwargs.values())
        if REDACTED in values:
            continue  # what is veiled may differ
        call = repr((one.args, sorted(one.kwargs.items())))
        timing = (one.cron, one.every_s, one.tz, one.dst, one.start, one.end)
        same[one.task, call, timing].append(one.name)
    for names in same.values():
        if len(names) > 1:
            text = "they make the same call at the same times: delete all but one"
            yield Finding(check="duplicate", schedules=tuple(names), text=text)


def _crowds(schedules: Sequence[ScheduleInfo], now_ms: int) -> Iterator[Finding]:
    """Each crowd once, at the first second of it."""
    by_second: dict[int, list[str]] = defaultdict(list)
    for one in schedules:
        late = _jitter_ms(one)
        for tick in islice(_ticks(one, now_ms, _DAY_MS), _MOST_TICKS):
            by_second[(tick + late) // 1000].append(one.name)
    crowds: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for second, names in sorted(by_second.items()):
        if len(names) > _MANY:
            crowds[tuple(names)].append(second)
    for names, seconds in crowds.items():
        first = f"{from_ms(seconds[0] * 1000):%Y-%m-%d %H:%M:%S}Z"
        more = f" and {len(seconds) - 1} times more within a day" if len(seconds) > 1 else ""
        text = f"{len(names)} fire in one second, {first}{more}: spread them with jitter='1m'"
        yield Finding(check="crowd", schedules=names, text=text)


def _jitter_ms(one: ScheduleInfo) -> int:
    named = Schedule(name=one.name, queue=one.queue, task=one.task, jitter_s=one.jitter_s)
    return named.jitter_ms


def _slow(one: ScheduleInfo, now_ms: int, run_times: Sequence[float]) -> Iterator[Finding]:
    coming = islice(_ticks(one, now_ms, _YEAR_MS), _PERIODS)
    period = min((after - before for before, after in pairwise(coming)), default=0) / 1000
    if not run_times or not period:
        return
    p95 = sorted(run_times)[ceil(len(run_times) * 0.95) - 1]
    if p95 > period:
        yield _of(
            "slow",
            one,
            f"it ticks every {period:g} s, but runs for {p95:.1f} s (p95 of {len(run_times)}): "
            f"with overlap {one.overlap!r} {_OVERLAPS.get(one.overlap, '')}",
        )


def _gaps(one: ScheduleInfo, now_ms: int) -> Iterator[Finding]:
    ticks = one.ticks()
    if not isinstance(ticks, Cron) or ticks.calendar.is_hourly:
        return  # a period, which a missing hour does not concern
    for gap in ticks.gaps(*_bounds(one, now_ms, _YEAR_MS)):
        local = from_ms(gap).astimezone(zone_of(ticks.tz))
        what = _AFTER_GAP[ticks.dst].format(shown=f"{local:%H:%M}")
        text = f"on {local:%Y-%m-%d} the clock of {ticks.tz} jumps over its time: {what}"
        yield _of("gap", one, text)


def _ticks(one: ScheduleInfo, now_ms: int, length_ms: int) -> Iterator[int]:
    return one.ticks().between(*_bounds(one, now_ms, length_ms))


def _bounds(one: ScheduleInfo, now_ms: int, length_ms: int) -> tuple[int, int]:
    """A time from now on, as far as the schedule is in force."""
    first, last = now_ms, now_ms + length_ms
    if one.start is not None:
        first = max(first, round(one.start.timestamp() * 1000))
    if one.end is not None:
        last = min(last, round(one.end.timestamp() * 1000))
    return first, last


def _of(check: str, one: ScheduleInfo, text: str) -> Finding:
    return Finding(check=check, schedules=(one.name,), text=text)
