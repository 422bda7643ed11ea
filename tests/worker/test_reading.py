"""The blocking read: whatever becomes of one, the next one gets its own answer."""

from __future__ import annotations

import pytest

from rqueue.app import App
from rqueue.errors import StoreUnavailable
from rqueue.store import reader as readers
from rqueue.store.calls import leases
from rqueue.store.keys import queue_keys
from rqueue.store.reader import BlockingReader
from rqueue.store.transport import AsyncTransport
from tests.faults.network import Network, Weather
from tests.support.servers import Server


async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_ones(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_PATIENCE_S", 0.1)
    keys = queue_keys(namespace, "default")
    with Server(tcp=True) as server, Network(server.url) as network:
        near, far = App(server.url, namespace=namespace), App(network.url, namespace=namespace)

        @near.task
        async def answer() -> int:
            return 42

        transport = AsyncTransport(far.store)
        reader = BlockingReader(transport)
        await transport.send(leases.register(keys, "w1", 1))
        places = [(keys, "normal", "w1")]
        assert await reader.read(places, 10) == []

        network.weather = Weather(delay_s=(1, 1))
        await answer.options(job_id="one").enqueue()
        reader.listen()
        with pytest.raises(StoreUnavailable):
            await reader.read(places, 10)
        network.mend()

        assert [one.job_id for one in await reader.read(places, 1000)] == ["one"]
        await reader.close()
        await transport.close()
        await near.close()
