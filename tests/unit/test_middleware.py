"""Middleware around an execution, hooks before an enqueue."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rqueue.app import App
from rqueue.context import Context
from rqueue.errors import ConfigError, JobFailed
from rqueue.middleware import Next
from rqueue.options import CallOptions
from rqueue.task import TaskCall


@pytest.fixture
def app() -> App:
    return App()


async def test_the_first_middleware_is_the_outermost(app: App) -> None:
    seen: list[str] = []

    def named(name: str) -> Any:
        async def middleware(ctx: Context[Any], call_next: Next) -> object:
            seen.append(f"{name} in")
            result = await call_next(ctx)
            seen.append(f"{name} out")
            return result

        return middleware

    app.middleware(named("a"))
    app.middleware(named("b"))

    @app.task
    async def task() -> int:
        seen.append("task")
        return 1

    assert await task.now() == 1
    assert seen == ["a in", "b in", "task", "b out", "a out"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_middleware_wraps_sync_tasks_like_async_ones(app: App, is_async: bool) -> None:
    @app.middleware
    async def double(ctx: Context[Any], call_next: Next) -> object:
        result: Any = await call_next(ctx)
        return 2 * result

    async def on_the_loop() -> int:
        return 21

    def in_a_thread() -> int:
        return 21

    task = app.task(on_the_loop if is_async else in_a_thread)

    assert await task.now() == 42


async def test_a_middleware_sees_headers_and_the_job(app: App) -> None:
    seen: list[Any] = []

    @app.middleware
    async def look(ctx: Context[Any], call_next: Next) -> object:
        seen.append((ctx.task, ctx.queue, dict(ctx.headers)))
        return await call_next(ctx)

    @app.task(queue="mail")
    async def task() -> None:
        """Nothing."""

    await task.options(headers={"trace": "7"}).now()

    assert seen == [("task", "mail", {"trace": "7"})]


async def test_a_middleware_may_replace_an_exception(app: App) -> None:
    @app.middleware
    async def forgive(ctx: Context[Any], call_next: Next) -> object:
        try:
            return await call_next(ctx)
        except LookupError:
            return "nothing there"

    @app.task
    async def task() -> str:
        raise KeyError("k")

    assert await task.now() == "nothing there"


async def test_a_middleware_that_raises_fails_the_attempt(app: App) -> None:
    @app.middleware
    async def refuse(ctx: Context[Any], call_next: Next) -> object:
        raise PermissionError("no")

    ran: list[int] = []

    @app.task
    async def task() -> None:
        ran.append(1)

    with pytest.raises(JobFailed) as failed:
        await task.now()

    assert (failed.value.error_type, ran) == ("PermissionError", [])


async def test_what_a_middleware_returns_must_fit_the_annotation(app: App) -> None:
    @app.middleware
    async def spoil(ctx: Context[Any], call_next: Next) -> object:
        await call_next(ctx)
        return "text"

    @app.task
    async def task() -> int:
        return 1

    with pytest.raises(JobFailed) as failed:
        await task.now()

    assert failed.value.reason == "result"


async def test_hooks_change_a_call_in_the_order_they_were_added(app: App) -> None:
    def add(header: str) -> Any:
        def hook(call: TaskCall[Any]) -> TaskCall[Any]:
            headers = {**call.options.get("headers", {}), header: str(len(call.options))}
            options: CallOptions = {**call.options, "headers": headers}
            return msgspec.structs.replace(call, options=options)

        return hook

    app.before_enqueue(add("first"))
    app.before_enqueue(add("second"))

    @app.task
    async def task(ctx: Context) -> dict[str, str]:
        return dict(ctx.headers)

    assert await task.now() == {"first": "0", "second": "1"}


async def test_a_hook_may_refuse_a_call(app: App) -> None:
    @app.before_enqueue
    def refuse(call: TaskCall[Any]) -> TaskCall[Any]:
        raise PermissionError(call.task)

    @app.task
    async def task() -> None:
        """Never run."""

    with pytest.raises(PermissionError, match="task"):
        await task.enqueue()
    with pytest.raises(PermissionError, match="task"):
        task.enqueue_sync()
    with pytest.raises(PermissionError, match="task"):
        await app.enqueue_many([task.call()])


async def test_a_hook_may_change_the_arguments_in_place() -> None:
    app = App()

    @app.before_enqueue
    def seven(call: TaskCall[Any]) -> TaskCall[Any]:
        call.kwargs["n"] = 7
        return call

    @app.task
    async def same(*, n: int) -> int:
        return n

    call = same.call(n=1)
    assert await app.run_now(call) == 7
    assert call.kwargs == {"n": 1}


async def test_a_hook_that_forgets_the_call_is_named() -> None:
    app = App()

    @app.before_enqueue
    def forgetful(call: TaskCall[Any]) -> Any:
        del call

    @app.task
    async def same() -> None: ...

    with pytest.raises(ConfigError, match=r"hook '.*forgetful' returned None; it must return"):
        await same.now()
