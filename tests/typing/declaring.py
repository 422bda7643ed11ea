# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""Declaring: what ``@app.task`` makes of a function, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NoReturn, assert_type
from uuid import UUID

from rqueue import (
    App,
    Arguments,
    Context,
    Discard,
    Durability,
    Encrypted,
    Job,
    Retry,
    Sensitive,
    Signed,
    Task,
)


class Pool:
    """What a lifespan yields."""

    size = 4


@dataclass
class Address:
    """What an argument may be."""

    mail: str


def use(*values: object) -> None:
    """Whatever is assigned must be used."""


app = App("redis://localhost:6379/0", namespace="shop", imports=["shop.tasks"], max_payload=1024)


@app.task
async def fetch(url: str, timeout: float = 1.0) -> bytes:
    return url.encode()[: int(timeout)]


@app.task
def resize(width: int, *, keep: bool = False) -> tuple[int, int]:
    return (width, width if keep else 0)


@app.task(queue="mail", priority="high", timeout=timedelta(seconds=30), retry=Retry(base=2))
async def send_mail(to: Address, subject: str = "") -> int:
    return len(to.mail) + len(subject)


@app.task(name="reports.build", isolation="process", max_crashes=1, result_ttl=0, expires="60s")
def build_report(month: str) -> dict[str, int]:
    return {month: 1}


@app.task
async def log_in(user: str, password: Sensitive[str], pin: Sensitive[int] | None = None) -> bool:
    return len(user) + len(password) > (pin or 0)


def one_per_account(account: UUID) -> str:
    return f"account:{account}"


@app.task(unique=one_per_account)
async def charge(account: UUID) -> None: ...


@app.task(durability="fsync")
async def pay(amount: int) -> None: ...


@app.task(durability=Durability(mode="replicated", replicas=2))
async def pay_twice(amount: int) -> None: ...


@app.task
async def gathers(*names: str, **counts: int) -> dict[str, int]:
    return dict.fromkeys(names, 0) | counts


@app.task(version=4)
async def invoice(account: UUID, *, total: int) -> None: ...


# An upgrade has the parameters of the old version, and stays a function.


@invoice.upgrade(1)
def invoice_from_mail(mail: str, total: int = 0) -> dict[str, Any]:
    return {"account": UUID(mail), "total": total}


@invoice.upgrade(2)
def invoice_from_pair(account: UUID, total: int) -> tuple[UUID, int]:
    return account, total


@invoice.upgrade(3)
def invoice_from_three(account: UUID, total: int) -> Arguments:
    return Arguments(account, total=total)


def an_upgrade_stays_what_it_was() -> None:
    assert_type(invoice_from_mail("m"), dict[str, Any])
    assert_type(invoice_from_pair(UUID(int=1), 1), tuple[UUID, int])
    invoice_from_mail(7)  # type: ignore[arg-type]


def too_old(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise Discard("nobody wants it any more")


def wrong_upgrades() -> None:
    async def late(mail: str) -> dict[str, Any]:
        return {"mail": mail}

    def text(mail: str) -> str:
        return mail

    invoice.upgrade(1)(too_old)
    invoice.upgrade(1)(late)  # type: ignore[type-var]
    invoice.upgrade(1)(text)  # type: ignore[type-var]
    invoice.upgrade("1")  # type: ignore[arg-type]
    app.task(version="2")  # type: ignore[call-overload]
    app.remote("invoice", version="2")  # type: ignore[arg-type]


# A context as first parameter is the worker's business: producers do not see it.


@app.task
async def bare_context(ctx: Context, page: int) -> list[str]:
    assert_type(ctx.state, None)
    assert_type(ctx.attempt, int)
    assert_type(ctx.cancelled, bool)
    return [ctx.job_id] * page


@app.task(queue="pages")
async def typed_context(ctx: Context[Pool], page: int) -> int:
    assert_type(ctx.state, Pool)
    return ctx.state.size * page


@app.task
def sync_context(ctx: Context[Pool], path: str) -> Literal["done"]:
    assert_type(ctx.state, Pool)
    return "done"


@app.task(isolation="process")
def process_context(ctx: Context, path: str) -> str:
    return ctx.job_id + path


@app.task
async def only_context(ctx: Context) -> str:
    return ctx.queue


async def a_task_knows_its_arguments_and_its_result() -> None:
    assert_type(await fetch.enqueue("x", timeout=2.5), Job[bytes])
    assert_type(await resize.enqueue(1, keep=True), Job[tuple[int, int]])
    assert_type(await send_mail.enqueue(Address("a@b.c")), Job[int])
    assert_type(await build_report.enqueue("2026-01"), Job[dict[str, int]])
    assert_type(await charge.enqueue(UUID(int=1)), Job[None])
    assert_type(await gathers.enqueue("a", "b", c=1), Job[dict[str, int]])
    assert_type(await bare_context.enqueue(1), Job[list[str]])
    assert_type(await typed_context.enqueue(page=1), Job[int])
    assert_type(await sync_context.enqueue("p"), Job[Literal["done"]])
    assert_type(await process_context.enqueue("p"), Job[str])
    assert_type(await only_context.enqueue(), Job[str])


def a_task_can_be_passed_on() -> None:
    by_arguments: Task[[str], Any] = process_context
    no_arguments: Task[[], str] = only_context
    whatever: Task[..., int] = typed_context
    use(by_arguments, no_arguments, whatever, fetch.name, fetch.declared.queue, fetch.is_async)

    wrong_arguments: Task[[int], str] = process_context  # type: ignore[assignment]
    wrong_result: Task[[], bytes] = only_context  # type: ignore[assignment]
    use(wrong_arguments, wrong_result)


def wrong_options_of_a_task() -> None:
    app.task(que="mail")  # type: ignore[call-overload]
    app.task(queue=1)  # type: ignore[call-overload]
    app.task(priority=1)  # type: ignore[call-overload]
    app.task(priority="urgent")  # type: ignore[call-overload]
    app.task(isolation="fork")  # type: ignore[call-overload]
    app.task(retry=5)  # type: ignore[call-overload]
    app.task(max_attempts=5)  # type: ignore[call-overload]
    app.task(unique="key")  # type: ignore[call-overload]
    app.task(timeout=None)  # type: ignore[call-overload]
    app.task(expires=datetime.now(UTC))  # type: ignore[call-overload]
    app.task(delay=1)  # type: ignore[call-overload]
    app.task(durability="disk")  # type: ignore[call-overload]
    app.task("mail")  # type: ignore[call-overload]

    @app.task(que="mail")  # type: ignore[call-overload, untyped-decorator]
    async def misspelt() -> None: ...

    use(misspelt)


def retries_are_named() -> None:
    Retry(max_attempts=3, base=0.5, cap=60, factor=3, until=3600, on=(OSError,), never=(EOFError,))
    Retry(attempts=5)  # type: ignore[call-arg]
    Retry(5)  # type: ignore[call-arg]
    Retry(max_attempts="5")  # type: ignore[arg-type]
    Retry(max_attempts=2.5)  # type: ignore[arg-type]
    Retry(until=timedelta(hours=1))  # type: ignore[arg-type]
    Retry(on=ValueError)  # type: ignore[arg-type]
    Retry(never=(ValueError(),))  # type: ignore[arg-type]
    Retry().max_attempts = 5  # type: ignore[misc]


async def a_sensitive_argument_is_of_its_own_type() -> None:
    assert_type(await log_in.enqueue("ada", "secret", pin=1), Job[bool])
    await log_in.enqueue("ada", 7)  # type: ignore[arg-type]


def keys_are_bytes_by_text(key: bytes) -> None:
    App(protection=Signed({"2026-11": key}, current="2026-11"))
    App(protection=Encrypted({"a": key, "b": key}, current="b", accept_plain=True))
    Signed({"2026-11": "text"}, current="2026-11")  # type: ignore[dict-item]
    Signed({"2026-11": key})  # type: ignore[call-arg]
    App(protection=key)  # type: ignore[arg-type]


def wrong_apps() -> None:
    App(6379)  # type: ignore[arg-type]
    App("redis://localhost", "shop")  # type: ignore[call-arg]
    App(broker="redis://localhost")  # type: ignore[call-arg]
    App(max_payload="1 MB")  # type: ignore[arg-type]
