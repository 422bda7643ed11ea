"""A server for one test alone, which may fill, stop or reconfigure it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.servers import FLAVOURS, Server


@pytest.fixture(params=FLAVOURS)
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A test that asks for it runs once on each flavour."""
    with Server(request.param) as server:
        yield server


@pytest.fixture
def redis(own: Server) -> Iterator[Redis]:
    """A plain client of it."""
    with Redis.from_url(own.url, protocol=2) as client:
        yield client
