"""The history that workers leave is no riddle to the faults, as long as it ends by itself."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.store.keys import LANES, QueueKeys
from tests.faults.evidence import Evidence
from tests.faults.remains import i14_every_key_is_explained, is_past
from tests.support.queue_state import QueueState

HOUR_MS = 3_600_000
SOUND = {
    "{default}:minute:7": 25 * HOUR_MS,
    "{default}:hour:0": 1,
    "{default}:failures": 170 * HOUR_MS,
    "{default}:booked": 5,
}


def violations(past: dict[str, int]) -> list[str]:
    others = ["queues", "{default}:meta", *(f"{{default}}:stream:{one}" for one in LANES)]
    told: dict[str, Any] = {"event": "keys", "at": 1.0, "jobs": 0, "others": others, "past": past}
    return [str(one) for one in i14_every_key_is_explained(Evidence([told], QueueState(), 2.0))]


@pytest.mark.parametrize("past", [{}, SOUND])
def test_a_history_that_ends_is_explained(past: dict[str, int]) -> None:
    assert violations(past) == []


@pytest.mark.parametrize(
    ("name", "left_ms"),
    [("minute:7", 26 * HOUR_MS + 1), ("hour:0", -1), ("failures", 172 * HOUR_MS), ("booked", -2)],
)
def test_a_history_that_does_not_end_in_time_is_told(name: str, left_ms: int) -> None:
    key = f"{{default}}:{name}"

    found = violations(SOUND | {key: left_ms})

    assert found == [f"I14: history that does not end in time: ['{key}']"]


def test_a_history_that_nobody_has_booked_is_told() -> None:
    found = violations({"{default}:hour:0": 1})

    assert found == ["I14: history that nobody has booked: ['{default}:hour:0']"]


def test_only_the_keys_of_a_history_are_taken_for_one() -> None:
    keys = QueueKeys("ns", "default")
    history = [keys.minute(7), keys.hour(0), keys.failures, keys.booked]
    others = [keys.meta, keys.dead, keys.releases, keys.job("hour:1"), keys.plan("failures")]
    names = [name.removeprefix("ns:") for name in (*history, *others, f"{keys.failures}:1")]

    assert [is_past(name) for name in names] == [True] * 4 + [False] * 6
