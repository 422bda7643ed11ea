"""Wrapping: around an execution, and before an enqueue. Nothing built in is a middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rqueue.context import Context

Next = Callable[[Context[Any]], Awaitable[object]]
Middleware = Callable[[Context[Any], Next], Awaitable[object]]
"""``async def mine(ctx, call_next): ...; return await call_next(ctx)``"""


def compose(middlewares: Sequence[Middleware], innermost: Next) -> Next:
    """One call through all of them; the first added is the outermost."""
    call = innermost
    for middleware in reversed(middlewares):
        call = _wrap(middleware, call)
    return call


def _wrap(middleware: Middleware, call_next: Next) -> Next:
    def call(ctx: Context[Any]) -> Awaitable[object]:
        return middleware(ctx, call_next)

    return call
