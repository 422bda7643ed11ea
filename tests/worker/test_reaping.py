"""Who is dead is dealt with once: by one of the reapers, and in the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
from redis import Redis

from rqueue import LeaseConfig, QueueShare, WorkerConfig
from rqueue.app import App
from rqueue.errors import CorruptKey, StoreUnavailable
from rqueue.events import WorkerReaped
from rqueue.store.call import Call, Flow
from rqueue.store.calls import entries, leases, workers
from rqueue.store.calls.leases import Seen
from rqueue.store.keys import LANES, queue_keys, workers_registry
from rqueue.store.transport import Transport
from rqueue.worker.membership import Membership
from rqueue.worker.reaper import Reaper
from tests.support.waiting import Ears
from tests.support.working import SHORT, working

T = TypeVar("T")


async def test_a_reaper_that_comes_second_says_nothing(
    app: App, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, transport, ears = queue_keys(namespace, "default"), Transport(app.store), Ears(app)
    await app.remote("work").enqueue()
    transport.send(leases.register(keys, "dead", 1))
    transport.send(entries.fetch(keys, "dead", 1, [(lane, 1) for lane in LANES]))
    transport.send(leases.fence(keys, "dead"))
    first, second = (Reaper(transport, keys, LeaseConfig(), app.observers) for _ in range(2))
    reap = leases.reap

    def overtaken(*args: Any) -> Flow[list[str]]:
        monkeypatch.setattr(leases, "reap", reap)
        first.sweep()
        return reap(*args)

    monkeypatch.setattr(leases, "reap", overtaken)
    second.sweep()

    assert ears.of(WorkerReaped) == [WorkerReaped(queue="default", worker="dead", jobs=1)]
    transport.close()


class Followed(Transport):
    """A transport after each of whose trips somebody else sweeps."""

    rival: Reaper

    def send(self, call: Call[T], retry_s: float | None = None) -> T:
        answer = super().send(call, retry_s)
        self.rival.sweep()
        return answer

    def send_many(self, calls: Sequence[Call[T]], retry_s: float | None = None) -> list[T]:
        answers = super().send_many(calls, retry_s)
        self.rival.sweep()
        return answers


async def test_the_cause_of_a_death_is_told_whoever_sweeps_meanwhile(
    app: App, namespace: str
) -> None:
    keys, transport = queue_keys(namespace, "default"), Transport(app.store)
    high, low = [
        await app.remote("work").options(priority=lane).enqueue() for lane in ("high", "low")
    ]
    transport.send(leases.register(keys, "dead-1", 1))
    transport.send(entries.fetch(keys, "dead-1", 2, [(lane, 1) for lane in LANES]))
    followed = Followed(app.store)
    followed.rival = Reaper(transport, keys, LeaseConfig(), app.observers)
    ears = Ears(app)

    Reaper(followed, keys, LeaseConfig(), app.observers).fence("dead-", "it fell over")

    told = [(await job.info()).errors for job in (high, low)]
    assert [[error.message for error in errors] for errors in told] == [["it fell over"]] * 2
    assert ears.of(WorkerReaped) == [WorkerReaped(queue="default", worker="dead-1", jobs=2)]
    followed.close()
    transport.close()


async def test_who_is_known_to_be_dead_is_fenced_though_what_it_holds_cannot_be_read(
    app: App, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, transport = queue_keys(namespace, "default"), Transport(app.store)
    transport.send(leases.register(keys, "dead-1", 1))

    def unreadable(*_: Any) -> Flow[list[str]]:
        raise CorruptKey("a key")
        yield

    monkeypatch.setattr(leases, "fence_and_reap", unreadable)
    Reaper(transport, keys, LeaseConfig(), app.observers).fence("dead-", "it fell over")

    assert transport.send(leases.leases(keys)) == {}
    transport.close()


async def test_a_name_that_was_fenced_is_not_introduced_again(app: App, redis: Redis) -> None:
    """As by a pause of the process: both queues lose their lease, and come back one by one."""
    config = WorkerConfig(queues=(QueueShare("default"), QueueShare("other")), lease=SHORT)
    transport = app.connections.here().transport
    membership = Membership(transport, app.store, config, "w")
    await membership.join_all()
    one, other = membership
    for lease in (one, other):
        lease.is_fenced = True
        redis.zrem(lease.keys.leases, lease.worker)
    await transport.send(workers.dismiss(app.store.namespace, one.worker))

    await membership.rejoin(one)

    assert list(await app.workers.list()) == [membership.of("default").worker]
    await membership.rejoin(other)
    assert set(await app.workers.list()) == {lease.worker for lease in membership}


async def test_who_could_not_introduce_himself_tries_again(app: App, redis: Redis) -> None:
    config = WorkerConfig(queues=(QueueShare("default"),), lease=SHORT)
    membership = Membership(app.connections.here().transport, app.store, config, "w")
    await membership.join_all()
    (lease,) = membership
    lease.is_fenced = True
    registry = workers_registry(app.store.namespace)
    redis.delete(registry)
    redis.set(registry, "of a wrong type")

    with pytest.raises(CorruptKey):
        await membership.rejoin(lease)
    redis.delete(registry)
    await membership.rejoin(lease)

    assert list(await app.workers.list()) == [one.worker for one in membership]


async def test_a_worker_without_a_lease_cannot_be_told_to_stop(app: App, redis: Redis) -> None:
    config = WorkerConfig(queues=(QueueShare("default"),), lease=SHORT)
    membership = Membership(app.connections.here().transport, app.store, config, "w")
    await membership.join_all()
    (lease,) = membership
    async with working(app):
        redis.zrem(lease.keys.leases, lease.worker)

        assert not await app.workers.stop(lease.worker)


async def test_a_worker_that_does_not_hear_has_not_stopped_whoever_else_listens(app: App) -> None:
    config = WorkerConfig(queues=(QueueShare("default"),), lease=LeaseConfig())
    membership = Membership(app.connections.here().transport, app.store, config, "deaf")
    await membership.join_all()
    (lease,) = membership
    async with working(app):
        assert not await app.workers.stop(lease.worker, timeout=0.05)
        assert not await asyncio.to_thread(app.workers_sync.quiet, lease.worker, timeout=0.05)


async def test_who_was_fenced_but_for_the_answer_is_swept_up_at_the_next_look(
    app: App, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is seen dead no more; the next usual sweep would be a lease later."""
    keys, transport = queue_keys(namespace, "default"), Transport(app.store)
    transport.send(leases.register(keys, "dead", 1))
    reaper, fence = Reaper(transport, keys, LeaseConfig(lease_s=4), app.observers), Reaper._fence

    def lost(reaper: Reaper, worker: str, counter: float) -> bool:
        fence(reaper, worker, counter)
        raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(Reaper, "_fence", lost)
    for second in range(4):
        reaper.heed(Seen({"dead": 1.0}, []), second, second)
    with pytest.raises(StoreUnavailable):
        reaper.heed(Seen({"dead": 1.0}, []), 4, 4)

    assert reaper.wants_sweep(4.25)
    transport.close()
