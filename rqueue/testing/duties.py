"""What schedulers do, done when the test's time has come."""

from __future__ import annotations

from collections.abc import Sequence

from rqueue.app import App
from rqueue.clock import now_ms
from rqueue.store.calls.queues import queues as registered
from rqueue.store.calls.schedule import Outlook, outlooks
from rqueue.store.keys import QueueKeys, queue_keys
from rqueue.store.transport import AsyncTransport
from rqueue.worker.declarer import declarers
from rqueue.worker.promoter import Promoter
from rqueue.worker.pruner import Pruner
from rqueue.worker.service import Service
from rqueue.worker.ticker import Ticker


class Served:
    """One queue, and who serves it."""

    def __init__(self, app: App, transport: AsyncTransport, keys: QueueKeys) -> None:
        self.keys = keys
        self.promoter = Promoter(transport, keys, app.observers)
        self.ticker = Ticker(transport, keys, app.store, app.observers)
        self.pruner = Pruner(transport, keys)


class Duties:
    """The rounds of a scheduler's services, called one by one instead of by a timer.

    Args:
        app: whose queues are served.
        transport: of the test's loop.
        queues: their names.
    """

    def __init__(self, app: App, transport: AsyncTransport, queues: Sequence[str]) -> None:
        self._app = app
        self._transport = transport
        self._served = [
            Served(app, transport, queue_keys(app.store.namespace, queue)) for queue in queues
        ]

    async def declare(self) -> None:
        """Put the schedules in the code of the app."""
        declared = self._app.schedules_by_queue()
        for declarer in declarers(self._transport, self._app.store, declared):
            await declarer.run_once()

    async def look(self, now_ms: int) -> list[Outlook]:
        """What each queue has to do, and when it will have more."""
        return await self._transport.run(outlooks([one.keys for one in self._served], now_ms))

    async def run(self, outlooks: Sequence[Outlook]) -> None:
        """Promote and tick what is due, as far as it can go."""
        for one, outlook in zip(self._served, outlooks, strict=True):
            if outlook.due_ticks:
                await _rounds(one.ticker)
            if outlook.due_jobs:
                await _rounds(one.promoter)

    async def unserved(self) -> list[str]:
        """Other queues in which jobs are."""
        served = {one.keys.queue for one in self._served}
        names: list[str] = await self._transport.send(registered(self._app.store.namespace))
        others = [name for name in names if name not in served]
        if not others:
            return others
        keys = [queue_keys(self._app.store.namespace, name) for name in others]
        found = await self._transport.run(outlooks(keys, now_ms()))
        return [name for name, one in zip(others, found, strict=True) if one.entries]

    async def prune(self) -> None:
        """Forget dead letters that are too old."""
        for one in self._served:
            await _rounds(one.pruner)


async def _rounds(service: Service) -> None:
    """Rounds of a service until it would wait."""
    while await service.run_once() == 0:
        pass
