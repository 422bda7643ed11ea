"""A stall is excused where the server says that its disk stood still, and nowhere else."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from tests.faults.disk import was_waited_for


class Told:
    """A server that tells of one event, so many seconds ago."""

    def __init__(self, name: bytes, ago_s: float) -> None:
        self._latest = [[name, int(time.time() - ago_s), 1500, 1500]]

    def execute_command(self, *words: str) -> Any:
        assert words == ("LATENCY", "LATEST")
        return self._latest


@pytest.mark.parametrize(
    ("name", "ago_s", "is_disk"),
    [
        (b"aof-fsync-always", 0.0, True),
        (b"aof-write-pending-fsync", 1.0, True),
        (b"aof-fsync-always", 60.0, False),
        (b"command", 0.0, False),
        (b"fast-command", 0.0, False),
    ],
)
def test_only_a_disk_that_stood_still_just_now_is_one(
    name: bytes, ago_s: float, is_disk: bool
) -> None:
    assert was_waited_for(cast("Any", Told(name, ago_s)), 1.5) is is_disk
