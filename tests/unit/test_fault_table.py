"""What the table of a long run tells of what was counted."""

from __future__ import annotations

from tests.faults.table import HEAD, table


def test_a_zombie_is_told_of_when_it_froze_and_when_it_was_fenced() -> None:
    runs = [
        {"fault": "F2", "failed": "", "jobs": 9, "zombies": 5, "fenced": 3},
        {"fault": "F2", "failed": "", "jobs": 9, "zombies": 2, "fenced": 2},
    ]
    head, _, row, *_ = table(runs).splitlines()

    told = dict(zip(head.split(" | "), row.split(" | "), strict=True))

    assert len(told) == len(HEAD)
    assert told["frozen (fenced)"] == "7 (5)"
    assert "fenced 5" not in table(runs)


def test_numbers_that_stand_together_are_told_each_by_its_name() -> None:
    runs = [
        {"fault": "F32", "failed": "", "jobs": 9, "scripts, ms": {"promote": 2.5, "fire": 1.5}},
        {"fault": "F32", "failed": "", "jobs": 9, "scripts, ms": {"promote": 3.5}},
    ]

    assert table(runs).splitlines()[-1] == (
        "- F32: scripts, ms: promote 2.5 to 3.5, scripts, ms: fire 1.5 to 1.5"
    )
