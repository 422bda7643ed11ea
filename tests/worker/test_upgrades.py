"""Upgrades that fail, and what they must not tell; each job can be saved afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from rqueue import App, Discard, JobCancelled, Retry, Sensitive
from rqueue.store.keys import queue_keys
from tests.support.releases import Release, charge, first, only_dead, release, second
from tests.support.waiting import PATIENCE_S, Ears
from tests.support.working import burst

__all__ = ["release"]

CANARY = "canary-4711"


@pytest.mark.parametrize("raised", [LookupError("no such currency"), SystemExit(3)], ids=repr)
async def test_a_call_whose_upgrade_fails_is_dead_until_it_is_mended(
    release: Release, raised: BaseException
) -> None:
    def faulty(app: App) -> None:
        @app.task(version=2)
        async def charge(user: str, amount: Decimal, currency: str) -> str:
            return "never"

        @charge.upgrade(1)
        def from_cents(user: str, cents: int) -> dict[str, Any]:
            raise raised

    job = await charge(release(first), unique="ada").enqueue("ada", 250)
    before = (await job.info()).envelope
    await burst(release(faulty))
    dead = await only_dead(release(faulty))

    assert (dead.id, dead.reason, dead.attempts, dead.task) == (job.id, "upgrade", 0, "charge")
    assert dead.envelope == before
    (error,) = dead.errors
    assert error.type == type(raised).__name__
    assert error.message == f"version 1 of 'charge' was not lifted: {raised}"
    assert "in from_cents" in error.traceback

    mended = release(second)
    assert (await mended.inspector.requeue("default")).count == 1
    await burst(mended)
    assert await job.result(PATIENCE_S) == "2: ada 2.5 EUR"


WRONG: dict[str, tuple[Callable[..., Any], str, str]] = {
    "of no kind": (lambda *a: list(a), "upgrade", "the upgrade returned a list; it must return"),
    "nothing": (lambda *_: None, "upgrade", "the upgrade returned a NoneType; it must return"),
    "unsendable": (lambda *_: (object(),), "upgrade", "cannot be encoded"),
    "other parameters": (lambda user: (user,), "upgrade", "arguments do not fit"),
    "too few": (lambda *_: ("ada",), "arguments", "lifted from version 1: arguments do not fit"),
    "too wrong": (
        lambda *_: {"user": "ada", "amount": "much", "currency": "EUR"},
        "arguments",
        "lifted from version 1: arguments do not fit",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_an_upgrade_returns_must_be_arguments_of_the_task(
    release: Release, name: str
) -> None:
    upgrade, reason, said = WRONG[name]

    def declare(app: App) -> None:
        @app.task(version=2)
        async def charge(user: str, amount: Decimal, currency: str) -> None: ...

        charge.upgrade(1)(upgrade)

    app = release(declare)
    await charge(release(first)).enqueue("ada", 250)
    await burst(app)

    dead = await only_dead(app)
    assert (dead.reason, dead.attempts) == (reason, 0)
    assert said in dead.errors[0].message


async def test_an_upgrade_may_say_that_nobody_wants_the_call_any_more(release: Release) -> None:
    def declare(app: App) -> None:
        @app.task(version=3)
        async def charge(account: int) -> None: ...

        @charge.upgrade(1)
        @charge.upgrade(2)
        def too_old(*_args: Any, **_kwargs: Any) -> tuple[Any, ...]:
            raise Discard("bills from before 2026 are settled")

    job = await charge(release(first)).enqueue("ada", 250)
    await burst(release(declare))

    with pytest.raises(JobCancelled, match="bills from before 2026 are settled"):
        await job.result(PATIENCE_S)


@App().task(isolation="process", version=2)
def in_child(how: str, secret: str) -> str:
    if how == "raise":
        raise LookupError(f"no {secret}")
    return f"{how} {secret}"


def lift_in_child(password: Sensitive[str], how: str) -> dict[str, Any]:
    if how == "fail":
        raise PermissionError(password)
    return {"how": how, "secret": password}


@pytest.fixture
def with_child(release: Release) -> App:
    def declare(app: App) -> None:
        once = Retry(max_attempts=1)
        app.task(isolation="process", version=2, retry=once)(in_child.fn).upgrade(1)(lift_in_child)

        @app.task(version=2, retry=once)
        async def in_loop(how: str, secret: str) -> str:
            return in_child.fn(how, secret)

        in_loop.upgrade(1)(lift_in_child)

    return release(declare)


async def test_a_child_process_gets_what_was_lifted(with_child: App) -> None:
    job = await with_child.remote("in_child", version=1).enqueue("pw", "run")
    await burst(with_child)

    assert await job.result(PATIENCE_S) == "run pw"


@pytest.mark.parametrize("task", ["in_loop", "in_child"])
@pytest.mark.parametrize("how", ["raise", "fail"])
async def test_a_sensitive_argument_stays_hidden_whatever_it_is_lifted_to(
    with_child: App, redis: Redis, caplog: pytest.LogCaptureFixture, task: str, how: str
) -> None:
    ears = Ears(with_child)
    with caplog.at_level(logging.DEBUG):
        await with_child.remote(task, version=1).options(job_id="x").enqueue(CANARY, how)
        await burst(with_child)
    dead = await only_dead(with_child)
    record: Any = redis.hgetall(queue_keys(with_child.store.namespace, "default").job("x"))
    record = {name: told for name, told in record.items() if not name.startswith(b"m")}  # the call

    assert (dead.reason, "[redacted]" in dead.errors[0].message) == (
        "failed" if how == "raise" else "upgrade",
        True,
    )
    for told in (dead.errors, record, ears.heard, caplog.text):
        assert CANARY not in repr(told)


async def test_what_an_old_producer_hid_stays_hidden_and_nothing_else(release: Release) -> None:
    def old(app: App) -> None:
        @app.task
        async def charge(user: str, card: Sensitive[str]) -> None: ...

    def new(app: App) -> None:
        @app.task(version=2)
        async def charge(card: str, user: str) -> None:
            raise LookupError(f"{user} {card}")

        @charge.upgrade(1)
        def swapped(user: str, card: str) -> tuple[str, str]:
            return card, user

    job = await charge(release(old)).enqueue("ada", CANARY)
    await burst(release(new))

    assert [one.message for one in (await job.info()).errors] == ["ada [redacted]"]
