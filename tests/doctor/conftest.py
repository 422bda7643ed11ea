"""Each test examines a server of its own, which it may set as it likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rqueue.app import App
from tests.doctor.patient import SOUND, Patient
from tests.support.clients import client
from tests.support.servers import FLAVOURS, Server, binary_of


@pytest.fixture(params=FLAVOURS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A sound one, of each flavour; ``only_valkey`` where that makes no difference."""
    binary_of(request.param)
    with Server(request.param, data_dir=tmp_path, config=SOUND) as server:
        yield server


@pytest.fixture
def patient(server: Server) -> Iterator[Patient]:
    app = App(server.url)
    with client(server.url) as redis:
        yield Patient(app, redis)
    app.close_sync()
