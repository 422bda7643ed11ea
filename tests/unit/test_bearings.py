"""When a worker asks Redis for the time and the targets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rqueue.config import Buckets
from rqueue.store.keys import QueueKeys
from rqueue.worker import bearings
from rqueue.worker.bearings import Bearings
from rqueue.worker.recorder import Recorder

MAIL, NEWS = QueueKeys("shop", "mail"), QueueKeys("shop", "news")


def test_they_are_taken_once_a_minute_and_when_a_queue_is_joined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, asked = 1000.0, 0

    def run(_flow: object) -> tuple[float, dict[str, float]]:
        nonlocal asked
        asked += 1
        return 0.0, {"mail": 5.0}

    monkeypatch.setattr(bearings, "monotonic", lambda: now)
    recorder = Recorder(Buckets(), lambda _: True)
    taken, transport = Bearings(recorder), cast("Any", SimpleNamespace(run=run))

    def after(seconds: float, *queues: QueueKeys) -> int:
        nonlocal now
        now += seconds
        taken.take(transport, queues)
        return asked

    assert [after(0, MAIL), after(1, MAIL), after(1, MAIL, NEWS), after(1, MAIL, NEWS)] == [
        1,
        1,
        2,
        2,
    ]
    assert after(60, MAIL, NEWS) == 3
    assert recorder.targets == {"mail": 5.0}
