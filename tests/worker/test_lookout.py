"""One look is enough for all who look in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.config import LeaseConfig
from rqueue.store.calls import leases, queues
from rqueue.store.keys import queue_keys
from rqueue.store.scripts import FETCH, PENDING, RENEW
from rqueue.store.transport import Transport
from rqueue.worker import reaper as reapers
from rqueue.worker.reaper import Reaper
from tests.support.proxy import Proxy
from tests.support.servers import only_valkey
from tests.support.waiting import eventually
from tests.support.working import scheduling, working

pytestmark = only_valkey


async def test_a_worker_and_its_scheduler_that_have_nothing_to_do_ask_little(
    url: str, namespace: str
) -> None:
    with Proxy(url) as proxy:
        app = App(proxy.url, namespace=namespace)
        renewal, fetch = RENEW.sha.encode(), FETCH.sha.encode()
        async with working(app), scheduling(app):
            await eventually(lambda: proxy.count(renewal) >= 4)
            proxy.requests.clear()
            await eventually(lambda: proxy.count(renewal) >= 8)
            asked = len(proxy.requests)

            # In two leases: eight renewals that are looks as well, and a read for each half.
            assert (proxy.count(fetch), proxy.count(PENDING.sha.encode())) == (0, 0)
            assert asked - 8 <= 6
        await app.close()


async def test_when_its_worker_has_left_the_scheduler_looks_itself(
    app: App, redis: Redis, namespace: str
) -> None:
    keys, transport = queue_keys(namespace, "default"), Transport(app.store)
    async with scheduling(app):
        async with working(app) as worker:
            transport.send(leases.register(keys, "dead", 1))
            # Seen by the worker, which serves the scheduler as well.
            await eventually(lambda: redis.zrange(keys.leases, 0, -1) == ids(worker.worker_ids))

        transport.send(leases.register(keys, "dead again", 1))
        await eventually(lambda: not redis.exists(keys.leases))
    transport.close()


def ids(names: list[str]) -> list[bytes]:
    return [name.encode() for name in names]


async def test_a_queue_whose_first_worker_came_later_is_watched_at_once(
    app: App, redis: Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.scheduler.DISCOVER_S", 3600)
    keys, transport = queue_keys(namespace, "brand-new"), Transport(app.store)
    async with scheduling(app):
        transport.send(queues.announce(namespace, "brand-new"))
        transport.send(leases.register(keys, "dead", 1))

        await eventually(lambda: not redis.exists(keys.leases))
    transport.close()


class Looking:
    """A reaper with a lease of twelve seconds and a clock that is set."""

    def __init__(self, app: App, namespace: str) -> None:
        self.now = 1000.0
        self.keys, self.transport = queue_keys(namespace, "default"), Transport(app.store)
        self.reaper = Reaper(self.transport, self.keys, LeaseConfig(lease_s=12), app.observers)

    def dies(self) -> None:
        self.transport.send(leases.register(self.keys, "dead", 1))


@pytest.fixture
def looking(app: App, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Looking]:
    looking = Looking(app, namespace)
    monkeypatch.setattr(reapers, "monotonic", lambda: looking.now)
    yield looking
    looking.transport.close()


def test_a_reaper_looks_again_at_the_moment_at_which_somebody_can_be_dead(
    looking: Looking, redis: Redis
) -> None:
    looking.reaper.look()
    looking.now += 2
    looking.dies()

    looks = list[float]()
    while redis.exists(looking.keys.leases):
        looking.now = looking.reaper.look_at
        looks.append(looking.now - 1000)
        looking.reaper.look()

    # Every three seconds; and a lease after the first look that saw it.
    assert looks == [3, 6, 9, 12, 15]


def test_a_reaper_that_saw_somebody_between_two_looks_does_not_wait_for_the_next(
    looking: Looking,
) -> None:
    looking.dies()
    looking.reaper.look()
    looking.now += 1
    for _ in range(3):
        looking.reaper.look()
        looking.now += 3

    looking.reaper.look()

    assert (looking.now, looking.reaper.look_at) == (1010, 1012)
