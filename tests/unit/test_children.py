"""What a supervisor says of its children."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rqueue.supervisor import ChildProcess, Supervisor, child
from rqueue.worker import journal
from rqueue.worker.readings import Readings
from rqueue.worker.reports import Report
from rqueue.worker.tally import Tally


def test_memory_ran_out_for_the_child_that_was_killed_for_it_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kills = 0
    monkeypatch.setattr(child, "oom_kills", lambda: kills)
    monkeypatch.setattr(ChildProcess, "_oom_kills_told", 0)
    first, second, third = (object.__new__(ChildProcess) for _ in range(3))
    for one in (first, second, third):
        one._oom_kills = 0  # pyright: ignore[reportPrivateUsage]

    kills += 1
    assert first.end(-signal.SIGKILL) == "was ended by SIGKILL because memory ran out"
    assert second.end(-signal.SIGKILL) == "was ended by SIGKILL"
    kills += 1
    assert third.end(-signal.SIGKILL) == "was ended by SIGKILL because memory ran out"


@pytest.mark.parametrize(
    ("children", "why"),
    [
        ([], ""),
        ([("reported", 31.0), ("reported", 1.0)], ""),
        ([("reported", 31.0), ("nothing yet", 90.0)], ""),
        ([("reported", 31.0), ("opens its resources", 90.0)], ""),
        ([("reported", 40.0), ("reported", 31.0)], "no worker process has reported for 31 s"),
    ],
    ids=["none", "one turns", "one loads", "one opens its resources", "all hang"],
)
def test_a_supervisor_is_alive_while_one_of_its_children_is(
    children: list[tuple[str, float]], why: str
) -> None:
    supervisor = Supervisor([], {}, lambda _name, _cause: None)
    alive = [
        SimpleNamespace(has_begun=said == "reported", silent_s=seconds)
        for said, seconds in children
    ]
    supervisor._alive = cast("Any", alive)  # pyright: ignore[reportPrivateUsage]

    assert supervisor.live() == why


@pytest.mark.parametrize(
    ("report", "has_begun"),
    [
        (None, False),
        (Report("its resources are not open yet", "no", Readings(), has_joined=False), False),
        (Report("", "Redis cannot be reached", Readings(), has_joined=False), True),
    ],
)
def test_a_child_has_begun_when_its_resources_are_open(
    report: Report | None, has_begun: bool
) -> None:
    one = object.__new__(ChildProcess)
    one.report = report

    assert one.has_begun is has_begun


def test_what_a_child_counted_is_what_it_last_said_where_its_journal_makes_no_sense(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = object.__new__(ChildProcess)
    told = Tally(stalls={"t": 3})
    one.pid, one.report = 1, Report("", "", Readings(tally=told), has_joined=True)
    one._journal_fd = journal.create()  # pyright: ignore[reportPrivateUsage]
    os.pwrite(one._journal_fd, b"\xff" * 4096, 0)  # pyright: ignore[reportPrivateUsage]

    assert one._read_journal() == told  # pyright: ignore[reportPrivateUsage]

    os.close(one._journal_fd)  # pyright: ignore[reportPrivateUsage]
    assert "what it had counted cannot be read" in caplog.text
