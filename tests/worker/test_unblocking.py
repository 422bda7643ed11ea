"""A blocking read that is not wanted any more ends at once, and the next one waits again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rqueue.app import App
from rqueue.store.calls import leases
from rqueue.store.keys import queue_keys
from rqueue.store.reader import BlockingReader, Place
from rqueue.store.transport import AsyncTransport
from tests.support.waiting import PATIENCE_S

ENDLESS_MS = 600_000


@pytest.fixture
def places(app: App, namespace: str) -> list[Place]:
    return [(queue_keys(namespace, "default"), "normal", "w1")]


@pytest.fixture
async def reader(app: App, places: list[Place]) -> AsyncIterator[BlockingReader]:
    """A reader of a worker that has joined."""
    transport = AsyncTransport(app.store)
    await transport.send(leases.register(places[0][0], "w1", 1))
    reader = BlockingReader(transport)
    yield reader
    await reader.close()
    await transport.close()


async def test_a_read_that_waits_ends_when_it_is_not_wanted(
    reader: BlockingReader, places: list[Place]
) -> None:
    reader.listen()
    reading = asyncio.create_task(reader.read(places, ENDLESS_MS))
    await asyncio.sleep(0)  # it has begun

    await reader.unblock()

    async with asyncio.timeout(PATIENCE_S):
        assert await reading == []


async def test_a_read_that_begins_after_it_was_not_wanted_does_not_wait(
    reader: BlockingReader, places: list[Place]
) -> None:
    reader.listen()
    await reader.unblock()

    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read(places, ENDLESS_MS) == []


async def test_who_listens_again_waits_again(
    app: App, reader: BlockingReader, places: list[Place]
) -> None:
    reader.listen()
    await reader.unblock()
    reader.listen()
    reading = asyncio.create_task(reader.read(places, ENDLESS_MS))

    await app.remote("x").options(job_id="one").enqueue()

    async with asyncio.timeout(PATIENCE_S):
        assert [one.job_id for one in await reading] == ["one"]
