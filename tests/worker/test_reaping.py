"""Reapers at the same dead worker: one of them moves its jobs, and only that one says so."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue import LeaseConfig
from rqueue.app import App
from rqueue.events import WorkerReaped
from rqueue.store.calls import entries, leases
from rqueue.store.keys import LANES, queue_keys
from rqueue.store.transport import Transport
from rqueue.worker.reaper import Reaper
from tests.support.waiting import Ears


async def test_a_reaper_that_comes_second_says_nothing(
    app: App, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, transport, ears = queue_keys(namespace, "default"), Transport(app.store), Ears(app)
    await app.remote("work").enqueue()
    transport.send(leases.register(keys, "dead", 1))
    transport.send(entries.fetch(keys, "dead", 1, [(lane, 1) for lane in LANES]))
    transport.send(leases.fence(keys, "dead"))
    first, second = (Reaper(transport, keys, LeaseConfig(), app.observers) for _ in range(2))
    move = Reaper._move

    def overtaken(reaper: Reaper, *args: Any) -> int:
        if reaper is second:
            first.sweep()
        return move(reaper, *args)

    monkeypatch.setattr(Reaper, "_move", overtaken)
    second.sweep()

    assert ears.of(WorkerReaped) == [WorkerReaped(queue="default", worker="dead", jobs=1)]
    transport.close()
