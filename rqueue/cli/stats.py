"""``rqueue stats``: what became of jobs lately, without Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from rqueue.cli.options import Target, duration, option, with_json, with_queue, with_target

if TYPE_CHECKING:
    from rqueue.stats import Failure, Slot, Stats, TaskStats

_COUNTS = (
    "queue", "task", "jobs", "per min", "ok", "failed", "fail %", "retries", "dead",
    "jobs over time",
)  # fmt: skip
_TIMES = (
    "queue", "task", "run mean", "run p50", "run p95", "run p99", "wait mean", "wait p50",
    "wait p95",
)  # fmt: skip
_TEXTS = ("queue", "task", "jobs over time")
_BARS = "▁▂▃▄▅▆▇█"
_NONE = "·"
_WIDEST = 20
_VARIABLE = re.compile(r"0x[0-9a-f]+|[0-9a-f]*\d[0-9a-f]*", re.IGNORECASE)


@click.command()
@with_queue
@option("--task", help="Of this task only.")
@option("--since", type=duration, default="1h", help="How far back: 1h, 24h, 7d; a minute or more.")
@option(
    "--failures", type=click.IntRange(0, 500), default=100,
    help="Group the latest so many failures; 0 = show none.",
)  # fmt: skip
@with_target
@with_json
def stats(
    queue: str | None,
    task: str | None,
    since: float,
    failures: int,
    target: Target,
    *,
    is_json: bool,
) -> None:
    """How many jobs ended lately, how, and how fast, by task; then what failed, by error.

    It is what workers have counted: every ten seconds, and when they stop, they add it to the
    history in Redis. Means are exact, percentiles are within 13 %. fail % is of attempts.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_json
    from rqueue.cli.queues import check_known

    app = app_for_questions(target)
    names = () if queue is None else (queue,)
    check_known(app, names)
    found = app.inspector_sync.stats(*names, task=task, since=since, failures=failures)
    app.close_sync()
    if is_json:
        print_json(found)
        return
    if not (found.tasks or found.failures):
        note(_why_empty(found, queue, task))
        return
    _show_tasks(found)
    _show_failures(found, failures)


def _show_tasks(found: Stats) -> None:
    from rqueue.cli.output import note

    note(f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC")
    has_one_queue = len({one.queue for one in found.tasks}) == 1
    for columns, row in ((_COUNTS, _counts), (_TIMES, _times)):
        rows = [(one.queue, one.task, *row(one)) for one in found.tasks]
        _print(columns[has_one_queue:], [told[has_one_queue:] for told in rows])
        click.echo()


def _print(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rqueue.cli.output import print_table

    print_table(columns, rows, right=[name for name in columns if name not in _TEXTS])


def _show_failures(found: Stats, limit: int) -> None:
    from rqueue.cli.output import clean, note

    if not found.failures:
        return
    is_cut = len(found.failures) == limit
    note(f"Failures{f', the latest {limit}' if is_cut else ''}:")
    for line in _grouped(found.failures):
        click.echo(clean(line))


def _counts(one: TaskStats) -> tuple[object, ...]:
    rate = "" if one.failure_rate is None else f"{one.failure_rate * 100:.3g}"
    return (
        one.ended, f"{one.ended_per_minute:.3g}", one.succeeded, one.failed, rate, one.retries,
        one.dead, bars(one.slots),
    )  # fmt: skip


def _times(one: TaskStats) -> tuple[object, ...]:
    run, wait = one.run, one.wait
    told = (
        run.mean_s, run.p50_s, run.p95_s, run.p99_s, wait.mean_s, wait.p50_s, wait.p95_s,
    )  # fmt: skip
    return tuple(map(brief, told))


def _grouped(failures: Sequence[Failure]) -> Iterator[str]:
    """Those that are alike but for numbers in their texts, the most frequent first."""
    from rqueue.cli.jobview import span
    from rqueue.cli.output import one_line

    groups: dict[tuple[str, str, str, str], list[Failure]] = {}
    for one in failures:
        alike = _VARIABLE.sub("#", one.message)
        groups.setdefault((one.queue, one.task, one.type, alike), []).append(one)
    for group in sorted(groups.values(), key=len, reverse=True):
        last, dead = group[0], sum(one.outcome == "dead" for one in group)
        error = f"{last.type}: {last.message}" if last.message else last.type
        yield f"{len(group):5}  {one_line(last.task)}  {one_line(error, 200)}"
        where = f"queue {last.queue}, last {span(last.at)}, job {one_line(last.job_id)}"
        yield f"       {dead or 'none'} dead; {where}"


def brief(seconds: float | None) -> str:
    """A duration in a few characters."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 59.95:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"


def bars(slots: Sequence[Slot]) -> str:
    """How many jobs ended when, as a row of bars; the latest stands to the right."""
    size = -(-len(slots) // _WIDEST)
    first = len(slots) % size
    parts = [slots[:first]] if first else []
    parts += [slots[start : start + size] for start in range(first, len(slots), size)]
    counts = [sum(slot.ended for slot in part) for part in parts]
    most = max(counts)
    height = len(_BARS)
    return "".join(_BARS[-(-count * height // most) - 1] if count else _NONE for count in counts)


def _why_empty(found: Stats, queue: str | None, task: str | None) -> str:
    of_task = f" of task {task!r}" if task else ""
    in_queue = f" in queue {queue!r}" if queue else ""
    nothing = f"No job{of_task} ended or failed{in_queue} since {found.since:%Y-%m-%d %H:%M} UTC"
    if found.is_written:
        return f"{nothing}. Up to seven days are kept: --since 7d looks further back."
    return (
        f"{nothing}, and no worker has written a history within a day: none has run a job, or they "
        "run with --no-history. What is older than seven days is not kept."
    )
