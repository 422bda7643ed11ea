"""Every script, its answer lost: asked again, it says what it did, and has done it once.

The oracle is the same act on a network that loses nothing: the same answer, the same whole state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from rqueue.config import StoreConfig
from rqueue.errors import StoreUnavailable
from rqueue.inspection import discard, requeue
from rqueue.store import scripts
from rqueue.store.calls import (
    cron,
    entries,
    history,
    jobs,
    leases,
    queues,
    releases,
    schedule,
    workers,
)
from rqueue.store.calls.history import Booking
from rqueue.store.keys import workers_registry
from rqueue.store.scripts import ALL, Script
from rqueue.store.transport import Transport
from tests.support.bench import CRASH, NIGHTLY, TICK, Bench, ending, new_job
from tests.support.proxy import Proxy
from tests.support.queue_state import NOW, QueueState

Act = Callable[[Bench, Transport], Any]
Case = tuple[Callable[[Bench], Any], Act]
CARD = b"\x81\xa6queues\x91\xa1q"
"""A worker that says it serves the queue."""


def waiting(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(new_job("j1"), new_job("j2", unique="user:7"))


def taken(queue: Bench) -> None:
    waiting(queue)
    queue.fetch("w1")


def fenced(queue: Bench) -> None:
    taken(queue)
    queue.fence("w1")


def dead(queue: Bench) -> None:
    waiting(queue)
    queue.finish(*(ending(one, "bury") for one in queue.fetch("w1")))


def delayed(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+5"), new_job("j2", due="+9", unique="user:7"))


def paused(queue: Bench) -> None:
    queue.send(queues.pause(queue.keys, str(NOW)))


def introduced(queue: Bench) -> None:
    queue.send(workers.introduce(queue.keys.namespace, "w1", CARD))


def planned(queue: Bench) -> None:
    queue.send(cron.plan(queue.keys, NIGHTLY, seen="", is_timed=True, now=str(NOW)))


def nothing(_: Bench) -> None:
    """A queue that is not there yet."""


def finish(queue: Bench, transport: Transport) -> Any:
    held = queue.held("w1")
    verbs = zip(held, ("complete", "retry"), strict=True)
    return transport.send(
        entries.finish(queue.keys, "w1", [ending(one, verb) for one, verb in verbs], str(NOW))
    )


def promote(queue: Bench, transport: Transport) -> Any:
    return transport.send(schedule.promote(queue.keys, ["j1", "j2"], str(NOW + 10))).answers


def due(queue: Bench, transport: Transport) -> Any:
    return transport.send(schedule.due(queue.keys, now=str(NOW + 10))).ids


CASES: dict[str, Case] = {
    "enqueue": (
        nothing,
        lambda q, t: t.send(
            jobs.enqueue(q.keys, [new_job("j1"), new_job("j2", due="+9")], str(NOW))
        ),
    ),
    "fetch": (waiting, lambda q, t: t.send(entries.fetch(q.keys, "w1", 9, [("normal", 9)])).status),
    "finish": (taken, finish),
    "mark": (taken, lambda q, t: t.send(entries.mark(q.keys, "w1", q.held("w1")[0]))),
    "pending": (taken, lambda q, t: len(t.send(entries.pending(q.keys, "w1")))),
    "due": (delayed, due),
    "promote": (delayed, promote),
    "cancel": (waiting, lambda q, t: t.run(jobs.cancel(q.keys, "j2", "why", str(NOW)))),
    "reschedule": (waiting, lambda q, t: t.run(jobs.reschedule(q.keys, "j2", "+9", str(NOW)))),
    "requeue": (dead, lambda q, t: t.run(requeue(q.keys.namespace, "q", None))),
    "discard": (dead, lambda q, t: t.run(discard(q.keys.namespace, "q", ["j1", "never"]))),
    "record": (
        nothing,
        lambda q, t: t.send(jobs.record(q.keys, new_job("j1"), "dead", 9, ["r", "1"], str(NOW))),
    ),
    "await": (waiting, lambda q, t: t.send(jobs.awaiting(q.keys, "j1", "channel"))),
    "register": (nothing, lambda q, t: t.send(leases.register(q.keys, "w1", 1))),
    "renew": (taken, lambda q, t: t.send(leases.renew(q.keys, "w1", 2))),
    "fence": (taken, lambda q, t: t.send(leases.fence(q.keys, "w1"))),
    "reap": (fenced, lambda q, t: t.run(leases.reap(q.keys, "w1", "normal", CRASH, str(NOW)))),
    "retire": (
        lambda queue: (
            queue.taken(new_job("j1")) and queue.finish(ending(queue.held("w1")[0], "complete"))
        ),
        lambda q, t: t.send_many(leases.retire(q.keys, "w1")),
    ),
    "dismiss": (introduced, lambda q, t: t.run(workers.dismiss_fenced(q.keys))),
    "pause": (nothing, lambda q, t: t.send(queues.pause(q.keys, str(NOW)))),
    "plan": (
        nothing,
        lambda q, t: t.send(cron.plan(q.keys, NIGHTLY, seen="", is_timed=True, now=str(NOW))),
    ),
    "fire": (
        planned,
        lambda q, t: t.send(cron.fire(q.keys, NIGHTLY, TICK, new_job("j1"), str(NOW))).said,
    ),
    "stand": (nothing, lambda q, t: t.send(releases.stand(q.keys, "r1", 1000, str(NOW)))),
    "book": (
        nothing,
        lambda q, t: t.run(
            history.book(q.keys, Booking("w1", 1, [("t", "s=1 r0=1")], [b"f"]), NOW, str(NOW))
        ),
    ),
    "forget": (planned, lambda q, t: t.send(cron.forget(q.keys, "nightly"))),
    "resume": (paused, lambda q, t: t.send(queues.resume(q.keys))),
}


MOVED = {
    "finish": ["already", "already"],
    "promote": ["early", "early"],
    "reap": ["lost", "lost"],
    "fence": "missing",
    "dismiss": [],
    "fire": "beaten",
    "book": "already",
}
"""What is said the second time of what workers and schedulers have moved: to them it is all one
who did."""
TOLD = (scripts.FETCH, scripts.REGISTER, scripts.RENEW)
"""Not asked again: whoever asked is told, and looks at what it holds."""


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with Proxy(url) as proxy:
        yield proxy


@pytest.fixture
def queues_(url: str, namespace: str) -> Iterator[tuple[Bench, Bench]]:
    with closing(Bench(url, namespace)) as calm, closing(Bench(url, f"{namespace}-lossy")) as lossy:
        yield calm, lossy


def seen(queue: Bench) -> tuple[QueueState, dict[str, Any], int]:
    state = queue.state()
    return state, state.history, queue.client.hlen(workers_registry(queue.keys.namespace))


def test_every_script_is_among_the_cases() -> None:
    assert set(CASES) == {one.name for one in ALL}


@pytest.mark.parametrize("script", ALL, ids=lambda one: one.name)
def test_a_script_whose_answer_is_lost_has_done_its_work_once_and_says_so(
    queues_: tuple[Bench, Bench], proxy: Proxy, script: Script
) -> None:
    setup, act = CASES[script.name]
    calm, lossy = queues_
    for queue in (calm, lossy):
        setup(queue)
        queue.client.script_load(script.source)
    far = Transport(StoreConfig(url=proxy.url, namespace=lossy.keys.namespace))
    said = act(calm, calm.transport)
    proxy.lose_answer_to(script.sha.encode())

    with closing(far):
        if script in TOLD:
            with pytest.raises(StoreUnavailable):
                act(lossy, far)
        else:
            assert act(lossy, far) == MOVED.get(script.name, said)

    assert proxy.lost == 1
    assert seen(lossy) == seen(calm)
