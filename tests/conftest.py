"""Servers for every test: one of each flavour per process, shared; tests part by namespace."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis import Redis

from tests.support.clients import client
from tests.support.servers import FLAVOURS, Pool, Server


@pytest.fixture(scope="session")
def servers() -> Iterator[Pool]:
    """All the servers that this process has started so far."""
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture(scope="session", params=FLAVOURS)
def server(request: pytest.FixtureRequest, servers: Pool) -> Server:
    """A running server; a test that asks for it runs once on each flavour.

    It is shared: a test that kills or reconfigures a server starts its own ``Server(flavour)``.
    """
    return servers.get(request.param)


@pytest.fixture(scope="session")
def url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="session")
def valkey_url(servers: Pool) -> str:
    """The address of a Valkey, for a test to which the flavour makes no difference."""
    return servers.get("valkey9").url


@pytest.fixture
def namespace() -> str:
    """The first part of this test's keys; no other test's."""
    return f"t{uuid4().hex[:10]}"


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    """A plain client to look at keys with."""
    with client(url) as redis:
        yield redis
