# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""Sending: every way to enqueue takes what the task takes, and promises what it returns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from rqueue import App, Context, Job, Retry, Task, TaskCall

app = App()


@app.task
async def add(a: int, b: int = 0) -> int:
    return a + b


@app.task(queue="text")
def shout(ctx: Context, text: str, *, times: int) -> str:
    return text.upper() * times


@app.task
async def greet(name: str) -> str:
    return name


async def enqueue() -> None:
    assert_type(await add.enqueue(1), Job[int])
    assert_type(await add.enqueue(1, b=2), Job[int])
    assert_type(await shout.enqueue("x", times=2), Job[str])

    await add.enqueue()  # type: ignore[call-arg]
    await add.enqueue("1")  # type: ignore[arg-type]
    await add.enqueue(1, 2, 3)  # type: ignore[call-arg]
    await add.enqueue(1, c=2)  # type: ignore[call-arg]
    await add.enqueue(1, a=2)  # type: ignore[misc]
    await add.enqueue(1, delay=60)  # type: ignore[call-arg]
    await shout.enqueue("x")  # type: ignore[call-arg]
    await shout.enqueue("x", 2)  # type: ignore[call-arg]
    context = Context(job_id="", queue="", task="", state=None)
    await shout.enqueue(context, "x", times=2)  # type: ignore[arg-type, misc]


async def enqueue_must_be_awaited() -> None:
    add.enqueue(1)  # type: ignore[unused-coroutine]
    greet.now("you")  # type: ignore[unused-coroutine]


def enqueue_sync() -> None:
    assert_type(add.enqueue_sync(1, 2), Job[int])
    assert_type(shout.enqueue_sync("x", times=2), Job[str])

    add.enqueue_sync("1")  # type: ignore[arg-type]
    add.enqueue_sync(b=1)  # type: ignore[call-arg]
    shout.enqueue_sync(times=2)  # type: ignore[call-arg]


def call() -> None:
    assert_type(add.call(1), TaskCall[int])
    assert_type(shout.call("x", times=1), TaskCall[str])

    add.call("1")  # type: ignore[arg-type]
    shout.call("x")  # type: ignore[call-arg]
    add(1)  # type: ignore[operator]


async def now() -> None:
    assert_type(await add.now(1), int)
    assert_type(await shout.now("x", times=1), str)
    assert_type(await add.options(record=True).now(1), int)

    await add.now("1")  # type: ignore[arg-type]
    await shout.now("x")  # type: ignore[call-arg]


async def options() -> None:
    later = add.options(delay=60, priority="high", unique="user:7", job_id="a-1")
    assert_type(await later.enqueue(1), Job[int])
    assert_type(await later.options(retry=Retry(max_attempts=1)).enqueue(a=1), Job[int])
    assert_type(add.options(delay=timedelta(hours=1)).enqueue_sync(1), Job[int])
    assert_type(shout.options(queue="other").call("x", times=1), TaskCall[str])
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    add.options(run_at=tomorrow, expires=tomorrow, timeout=5, result_ttl=timedelta(days=1))
    add.options(delay="90s", expires="1h30m", timeout="10m", result_ttl="1d")
    add.options(expires=None, headers={"trace": "1"}, record=True)
    assert_type(await add.options(priority="low").options(timeout=9).now(1), int)

    await later.enqueue("1")  # type: ignore[arg-type]
    add.options(deley=60)  # type: ignore[call-arg]
    add.options(delay=tomorrow)  # type: ignore[arg-type]
    add.options(delay=None)  # type: ignore[arg-type]
    add.options(priority="urgent")  # type: ignore[arg-type]
    add.options(run_at=1_800_000_000)  # type: ignore[arg-type]
    add.options(retry=3)  # type: ignore[arg-type]
    add.options(max_attempts=3)  # type: ignore[call-arg]
    add.options(unique=lambda: "key")  # type: ignore[arg-type]
    add.options(job_id=7)  # type: ignore[arg-type]
    add.options(headers={"trace": 1})  # type: ignore[dict-item]
    add.options(record="yes")  # type: ignore[arg-type]


async def many_of_one_result() -> None:
    assert_type(await app.enqueue_many([add.call(1), add.call(2)]), list[Job[int]])
    assert_type(await app.enqueue_many(add.call(n) for n in range(9)), list[Job[int]])
    assert_type(await app.enqueue_many([greet.call("a"), shout.call("b", times=1)]), list[Job[str]])
    assert_type(app.enqueue_many_sync([greet.call("a")]), list[Job[str]])
    assert_type(await app.enqueue_many([add.call(1)], spread="10m"), list[Job[int]])
    assert_type(app.enqueue_many_sync([add.call(1)], spread=timedelta(hours=1)), list[Job[int]])
    assert_type(await app.enqueue(add.call(1)), Job[int])
    assert_type(app.enqueue_sync(add.call(1)), Job[int])

    await app.enqueue_many(add.call(1))  # type: ignore[arg-type]
    await app.enqueue_many([add])  # type: ignore[arg-type]
    await app.enqueue_many([add.call(1)], spread=datetime.now(UTC))  # type: ignore[arg-type]
    await app.enqueue_many([add.enqueue(1)])  # type: ignore[arg-type]
    await app.enqueue(add)  # type: ignore[arg-type]


async def by_name_everything_goes() -> None:
    assert_type(await app.send("elsewhere", 1, "x", flag=True), Job[Any])
    assert_type(app.send_sync("elsewhere"), Job[Any])
    assert_type(app.job("a-1", queue="mail"), Job[Any])
    elsewhere = app.remote("elsewhere", queue="mail")
    assert_type(elsewhere, Task[..., Any])
    assert_type(await elsewhere.options(delay=1).enqueue(1, whatever="x"), Job[Any])

    await app.send(add, 1)  # type: ignore[arg-type]
    await app.send()  # type: ignore[call-arg]
    app.remote("elsewhere", priority="high")  # type: ignore[call-arg]
