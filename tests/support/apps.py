"""An app on the server of the test, hung up afterwards; imported by the conftests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rqueue.app import App


@pytest.fixture
async def app(url: str, namespace: str) -> AsyncIterator[App]:
    """An app on every flavour of server."""
    app = App(url, namespace=namespace)
    yield app
    await app.close()


@pytest.fixture
async def valkey_app(valkey_url: str, namespace: str) -> AsyncIterator[App]:
    """An app for a test to which the flavour makes no difference."""
    app = App(valkey_url, namespace=namespace)
    yield app
    await app.close()
