"""Three releases of one task on one queue, each with arguments of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from rqueue import App
from rqueue.job import JobInfo
from rqueue.protection import PLAIN, Protection

Release = Callable[..., App]


def first(app: App) -> None:
    @app.task
    async def charge(user: str, cents: int = 100) -> str:
        return f"1: {user} {cents}"


def second(app: App) -> None:
    @app.task(version=2)
    async def charge(user: str, amount: Decimal, currency: str) -> str:
        return f"2: {user} {amount} {currency}"

    @charge.upgrade(1)
    def from_cents(user: str, cents: int = 100) -> dict[str, Any]:
        return {"user": user, "amount": Decimal(cents) / 100, "currency": "EUR"}


def third(app: App) -> None:
    @app.task(version=3)
    async def charge(account: int, *, price: str) -> str:
        return f"3: {account} {price}"

    @charge.upgrade(1)
    def from_cents(user: str, cents: int = 100) -> tuple[Any, ...]:
        return user, Decimal(cents) / 100, "EUR"

    @charge.upgrade(2)
    def from_amount(user: str, amount: Decimal, currency: str) -> dict[str, Any]:
        return {"account": len(user), "price": f"{amount:.2f} {currency}"}


@pytest.fixture
async def release(url: str, namespace: str) -> AsyncIterator[Release]:
    """An app as a release declares it, on the queue of all the others."""
    made: list[App] = []

    def make(declare: Callable[[App], None], protection: Protection = PLAIN) -> App:
        app = App(url, namespace=namespace, protection=protection)
        declare(app)
        made.append(app)
        return app

    yield make
    for app in made:
        await app.close()


def charge(app: App, **options: Any) -> Any:
    return app.tasks.get("charge").options(**options)


async def only_dead(app: App) -> JobInfo:
    (dead,) = await app.inspector.dead("default")
    return dead
