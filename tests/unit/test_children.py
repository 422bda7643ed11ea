"""What a supervisor says of its children."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rqueue.supervisor import ChildProcess, Supervisor, child


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
        ([("reported", 40.0), ("reported", 31.0)], "no worker process has reported for 31 s"),
    ],
    ids=["none", "one turns", "one loads", "all hang"],
)
def test_a_supervisor_is_alive_while_one_of_its_children_is(
    children: list[tuple[str, float]], why: str
) -> None:
    supervisor = Supervisor([], {}, lambda _name, _cause: None)
    alive = [
        SimpleNamespace(report=said if said == "reported" else None, silent_s=seconds)
        for said, seconds in children
    ]
    supervisor._alive = cast("Any", alive)  # pyright: ignore[reportPrivateUsage]

    assert supervisor.live() == why
