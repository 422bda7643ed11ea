"""What a supervisor says of the end of a child."""

from __future__ import annotations

import signal

import pytest

from rqueue.supervisor import ChildProcess, child


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
