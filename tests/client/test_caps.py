"""Caps: set through the inspector, told to producers as ``QueueFull``."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.app import App
from rqueue.errors import ConfigError, EnqueueError, PartlyRefused, PayloadTooLarge, QueueFull
from rqueue.handle import Job
from rqueue.task import Task
from tests.support.servers import only_valkey

Add = Task[[int], int]


@pytest.fixture
def add(app: App) -> Add:
    @app.task(queue="mail")
    async def add(a: int) -> int:
        return a

    return add


async def caps(app: App) -> tuple[int | None, int | None]:
    (queue,) = await app.inspector.queues()
    return queue.cap_waiting, queue.cap_scheduled


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize(
    ("which", "options", "held"),
    [("waiting", {}, "2 jobs wait or run"), ("scheduled", {"delay": 60}, "2 jobs wait for their")],
)
async def test_a_queue_that_is_full_refuses_with_its_cap(
    app: App, add: Add, blocking: bool, which: str, options: Any, held: str
) -> None:
    task = add.options(**options)
    await app.inspector.limit("mail", waiting=2, scheduled=2)
    await app.enqueue_many(task.call(n) for n in range(2))

    with pytest.raises(QueueFull, match=f"queue 'mail' is full: {held}.*--{which} N") as refused:
        task.enqueue_sync(3) if blocking else await task.enqueue(3)

    error = refused.value
    assert isinstance(error, EnqueueError)
    assert (error.queue, error.which, error.cap) == ("mail", which, 2)


@pytest.mark.parametrize("blocking", [True, False])
async def test_of_many_those_that_fit_are_enqueued(app: App, add: Add, blocking: bool) -> None:
    await app.inspector.limit("mail", waiting=2)
    calls = [add.options(job_id=f"j{n}").call(n) for n in range(3)]
    calls.append(add.options(queue="other").call(0))

    with pytest.raises(PartlyRefused, match="1 of 4 jobs were refused") as refused:
        app.enqueue_many_sync(calls) if blocking else await app.enqueue_many(calls)

    outcomes: list[Any] = list(refused.value.outcomes)
    error = outcomes.pop(2)
    assert isinstance(error, QueueFull)
    assert [job.status for job in outcomes] == ["accepted"] * 3
    assert [(one.name, sum(one.ready.values())) for one in await app.inspector.queues()] == [
        ("mail", 2),
        ("other", 1),
    ]


async def test_the_same_call_again_is_no_new_job_however_full_the_queue(app: App, add: Add) -> None:
    call = add.call(1)
    await app.inspector.limit("mail", waiting=1)
    await app.enqueue(call)

    assert (await app.enqueue(call)).status == "duplicate"
    assert app.enqueue_sync(call).status == "duplicate"


@only_valkey
async def test_a_cap_that_is_not_named_stays_as_it_is(app: App) -> None:
    first = await app.inspector.limit("mail", waiting=2, scheduled=3)
    assert (first.cap_waiting, first.cap_scheduled, first.counters) == (2, 3, {})

    await app.inspector.limit("mail", waiting=None)
    assert await caps(app) == (None, 3)
    app.inspector_sync.limit("mail", waiting=5)
    assert await caps(app) == (5, 3)
    app.inspector_sync.limit("mail")
    assert await caps(app) == (5, 3)
    app.inspector_sync.limit("mail", scheduled=None)
    assert await caps(app) == (5, None)


@only_valkey
async def test_a_queue_that_was_never_written_is_known_once_it_has_a_cap(app: App) -> None:
    await app.inspector.limit("new", waiting=None)
    assert await app.inspector.queues() == []

    await app.inspector.limit("new", scheduled=1)
    assert [one.name for one in await app.inspector.queues()] == ["new"]


@pytest.mark.parametrize("cap", [0, -1, True, 1.5, "2"])
async def test_a_cap_is_a_number_of_jobs(valkey_app: App, cap: Any) -> None:
    with pytest.raises(ConfigError, match="cap_scheduled"):
        await valkey_app.inspector.limit("mail", waiting=1, scheduled=cap)

    assert await valkey_app.inspector.queues() == []


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_queue_with_a_cap_on_payloads_refuses_what_its_producers_app_allows(
    app: App, add: Add, blocking: bool
) -> None:
    await app.inspector.limit("mail", payload=100)
    large = add.options(headers={"note": "x" * 100}).call(1)
    small = add.call(1)

    expected = r"takes \d+ bytes, the cap of queue 'mail' is 100\. .*--payload N"
    with pytest.raises(PayloadTooLarge, match=expected) as refused:
        app.enqueue_sync(large) if blocking else await app.enqueue(large)

    assert refused.value.limit == 100 < refused.value.size
    with pytest.raises(PartlyRefused) as partly:
        app.enqueue_many_sync([large, small]) if blocking else await app.enqueue_many(
            [large, small]
        )
    first, second = partly.value.outcomes
    assert isinstance(first, PayloadTooLarge)
    assert isinstance(second, Job)
    (queue,) = await app.inspector.queues()
    assert (queue.cap_payload, sum(queue.ready.values())) == (100, 1)
