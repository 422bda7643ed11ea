# pyright: strict, enableTypeIgnoreComments=false, reportUnnecessaryTypeIgnoreComment=true
"""Declaring: what ``@app.task`` makes of a function, and what it refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from typing_extensions import assert_type

from rqueue import App, Context, Job, Retry, Task


class Pool:
    """What a lifespan yields."""

    size = 4


app = App()


@app.task
async def fetch(url: str, timeout: float = 1.0) -> bytes:
    return url.encode()


@app.task
def resize(width: int, *, keep: bool = False) -> tuple[int, int]:
    return (width, width)


@app.task(queue="mail", priority="high", timeout=timedelta(seconds=30), retry=Retry(base=2))
async def send_mail(to: str, subject: str = "") -> int:
    return len(to) + len(subject)


@app.task(name="reports.build", isolation="process", max_crashes=1, result_ttl=0, expires=60)
def build_report(month: str) -> dict[str, int]:
    return {month: 1}


@app.task(unique=lambda account: f"account:{account}")
async def charge(account: int) -> None:
    print(account)


@app.task
async def bare_context(ctx: Context, page: int) -> list[str]:
    assert_type(ctx.state, None)
    assert_type(ctx.attempt, int)
    return [ctx.job_id] * page


@app.task(queue="pages")
async def typed_context(ctx: Context[Pool], page: int) -> int:
    assert_type(ctx.state, Pool)
    return ctx.state.size * page


@app.task
def sync_context(ctx: Context[Pool], path: str) -> Literal["done"]:
    return "done" if ctx.cancelled or path else "done"


@app.task
async def only_context(ctx: Context) -> str:
    return ctx.queue


async def what_a_declaration_is() -> None:
    assert_type(fetch.name, str)
    assert_type(await fetch.enqueue("x"), Job[bytes])
    assert_type(await resize.enqueue(1, keep=True), Job[tuple[int, int]])
    assert_type(await send_mail.enqueue("a@b.c"), Job[int])
    assert_type(await build_report.enqueue("2026-01"), Job[dict[str, int]])
    assert_type(await charge.enqueue(7), Job[None])
    assert_type(await bare_context.enqueue(1), Job[list[str]])
    assert_type(await typed_context.enqueue(page=1), Job[int])
    assert_type(await sync_context.enqueue("p"), Job[Literal["done"]])
    assert_type(await only_context.enqueue(), Job[str])
    assert_type(fetch.options(delay=1), type(fetch))  # reveal
    one_way: Task[[int], int] = typed_context
    print(one_way)


def wrong_declarations() -> None:
    @app.task(que="mail")
    async def misspelt() -> None: ...

    @app.task(queue=1)
    async def not_a_name() -> None: ...

    @app.task(isolation="fork")
    def not_an_isolation() -> None: ...

    @app.task(retry=5)
    async def not_a_policy() -> None: ...

    @app.task(max_attempts=5)
    async def not_on_the_policy() -> None: ...

    @app.task(unique="key")
    async def not_a_function() -> None: ...

    @app.task("mail")
    async def by_position() -> None: ...

    Retry(attempts=5)
    Retry(5)
    Retry(max_attempts="5")
    Retry(on=ValueError)
    Retry(on=(ValueError(),))
    bare_context.enqueue(Context(job_id="", queue="", task="", state=None), 1)
