"""The story: start everything, enqueue the tree, kill a worker half-way, add up."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape

from rqueue.clock import monotonic
from rqueue.demo import report
from rqueue.demo.desk import Desk, Kill
from rqueue.demo.indexing import FileIndex
from rqueue.demo.measures import measure
from rqueue.demo.member import CONCURRENCY
from rqueue.demo.processes import Crew, Member
from rqueue.demo.proof import Evidence, sums
from rqueue.demo.stage import Bar, Stage
from rqueue.demo.tasks import QUEUE, app, doomed, flaky, index_file, ping, wait
from rqueue.demo.tree import priority_of, python_files, source_root
from rqueue.embedded import EmbeddedServer
from rqueue.task import TaskCall

_DELAY_S = 5.0
_DELAYED = 50
_WAITS_PER_WORKER = 4
_PINGS = 50
_LOOK_S = 0.1
_PATIENCE_S = 60.0
"""How long nothing may end before the demo stops waiting and adds up what there is."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What ``run_demo`` was asked for.

    Attributes:
        directory: the tree; None = the standard library.
        lease_s: of the workers.
        workers: how many.
    """

    directory: Path | None
    lease_s: float
    workers: int


def play(plan: Plan, stage: Stage) -> int:
    """Run the demo; returns its exit code.

    Raises:
        DemoFailed: there is nothing to index, or a process died by itself.
        EmbeddedServerError: there is no server.
    """
    root = source_root(plan.directory)
    files = python_files(root)
    with EmbeddedServer() as server, Crew(server.url, plan.lease_s, server.directory) as crew:
        app.use(url=server.url)
        try:
            evidence = _run(plan, stage, crew, (root, files))
        finally:
            app.close_sync()
    return _tell(plan, stage, root, evidence)


def _run(plan: Plan, stage: Stage, crew: Crew, tree: tuple[Path, list[Path]]) -> Evidence:
    root, files = tree
    workers = [crew.start("worker", f"demo-{n}") for n in range(1, plan.workers + 1)]
    for member in (*workers, crew.start("scheduler", "demo-scheduler")):
        member.await_ready()
    stage.say(
        f"started an embedded Valkey, 1 scheduler, {plan.workers} workers of {CONCURRENCY} "
        f"threads; lease {plan.lease_s:g} s"
    )
    desk = Desk(app, QUEUE)
    calls = _calls(root, files)
    desk.send(calls)
    delayed = sum("delay" in call.options for call in calls)
    stage.say(
        f"enqueued {len(files):,} files of {_called(plan, root)}, {delayed} of them for "
        f"{_DELAY_S:g} s later"
    )
    total = len(calls) + _WAITS_PER_WORKER * plan.workers
    with stage.bar(total) as bar:
        _until(len(calls) // 2, desk, crew, bar)
        kill = _kill_half_way(stage, desk, crew, workers)
        _until(total, desk, crew, bar)
    desk.await_each(ping.call, _PINGS, _PATIENCE_S)
    crew.check()
    return Evidence(
        sent=tuple(desk.sent),
        records=desk.records(),
        queue=desk.look(),
        kill=kill,
        files=len(files),
    )


def _called(plan: Plan, root: Path) -> str:
    if plan.directory is not None:
        return escape(str(root))
    return f"Python {platform.python_version()}'s standard library"


def _calls(root: Path, files: Sequence[Path]) -> list[TaskCall[Any]]:
    """One call for each file, every so many of them delayed; and the two that fail."""
    step = max(len(files) // _DELAYED, 10)
    calls: list[TaskCall[Any]] = [flaky.call(), doomed.call()]
    for number, file in enumerate(files):
        task = index_file.options(priority=priority_of(file))
        if number % step == 0 and number < step * _DELAYED:
            task = task.options(delay=_DELAY_S)
        calls.append(task.call(str(root / file)))
    return calls


def _until(wanted: int, desk: Desk, crew: Crew, bar: Bar) -> None:
    """Watch until so many jobs have ended, or for too long none has."""
    done, moved_at = -1, monotonic()
    while done < wanted and monotonic() < moved_at + _PATIENCE_S:
        time.sleep(_LOOK_S)
        crew.check()
        queue = desk.look()
        ended = queue.counters.get("complete", 0) + queue.counters.get("bury", 0)
        if ended != done:
            done, moved_at = ended, monotonic()
        bar.move(done, f"{queue.running} running, {queue.workers} workers")


def _kill_half_way(stage: Stage, desk: Desk, crew: Crew, workers: Sequence[Member]) -> Kill:
    """``kill -9`` a worker at work; start another in its place, as a supervisor would."""
    desk.send([wait.call(1.0) for _ in range(_WAITS_PER_WORKER * len(workers))])
    kill = desk.kill_one(workers)
    new = crew.start("worker", f"demo-{len(workers) + 1}")
    stage.say(
        f"[bold red]kill -9 {kill.pid}[/]: worker {kill.member} died with {len(kill.held)} jobs "
        f"in its hands; {new.name} takes its place"
    )
    return kill


def _tell(plan: Plan, stage: Stage, root: Path, evidence: Evidence) -> int:
    proof = sums(evidence)
    speeds = measure(evidence)
    results = [info.result for _, info in evidence.of_task(index_file.name) if info.result]
    indexes = [msgspec.msgpack.decode(one, type=FileIndex) for one in results]
    stage.show("", report.tree_tables(root, indexes), report.tree_line(indexes), "")
    stage.show(report.sums_table(proof), report.speeds_table(speeds))
    stage.show(*report.speed_lines(speeds, plan.lease_s))
    wrong = [one for one in proof if not one.holds]
    for one in wrong:
        stage.complain(str(one))
    if not wrong:
        stage.show("", f"[bold green]It adds up: {len(evidence.sent):,} jobs, one worker killed, "
                       "nothing lost, nothing recorded twice.[/]")  # fmt: skip
    return 1 if wrong else 0
