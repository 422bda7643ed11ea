"""Every script is tried on every server, on a queue of its own, with its declared keys only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.scripts.narrow import NarrowTransport
from tests.support.bench import Bench


@pytest.fixture
def queue(url: str, namespace: str) -> Iterator[Bench]:
    with closing(Bench(url, namespace)) as bench:
        bench.transport.close()
        bench.transport = narrow = NarrowTransport(url, namespace, bench.client)
        yield bench
        assert narrow.denied() == []
