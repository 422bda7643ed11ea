"""A producer that knows nothing of rqueue but the document, and the workers it sends to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from rqueue import App, QueueShare, Worker, WorkerConfig
from tests.protocol.resp import Resp


@pytest.fixture
def stranger(url: str) -> Iterator[Resp]:
    with Resp(url) as connection:
        yield connection


@pytest.fixture
async def app(url: str, namespace: str) -> AsyncIterator[App]:
    """Knows the task of the document's examples."""
    app = App(url, namespace=namespace)

    @app.task(queue="mail")
    async def send_email(to: str, subject: str = "none") -> str:
        return f"{to}: {subject}"

    yield app
    await app.close()
    app.close_sync()


@pytest.fixture
def work_off(app: App) -> Callable[[], Awaitable[bool]]:
    """Run a worker until the queue is empty."""
    config = WorkerConfig(queues=(QueueShare("mail"),), burst=True)
    return lambda: Worker(app, config).run()
