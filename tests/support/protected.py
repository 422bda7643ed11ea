"""Apps with keys: the same tasks on one namespace, and what they leave in Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis import Redis

from rqueue import App, Encrypted, Retry, Signed
from rqueue.job import JobInfo
from rqueue.protection import PLAIN, Protection

OLD, NEW = b"o" * 32, b"n" * 32
CANARY = "canary-4711"
KINDS: list[Any] = [Signed, Encrypted]
REASON = {Signed: "bad_signature", Encrypted: "decrypt"}
every_kind = pytest.mark.parametrize("kind", KINDS)
Apps = Callable[..., App]
ran: list[str] = []


@pytest.fixture
async def apps(url: str, namespace: str) -> AsyncIterator[Apps]:
    """Apps with the same tasks on one namespace, each with keys of its own."""
    made: list[App] = []
    ran.clear()

    def make(protection: Protection = PLAIN) -> App:
        app = App(url, namespace=namespace, protection=protection)

        @app.task
        async def echo(text: str) -> str:
            ran.append(text)
            return text

        @app.task(retry=Retry(max_attempts=1))
        async def fail(text: str) -> None:
            raise LookupError(text)

        made.append(app)
        return app

    yield make
    for app in made:
        await app.close()


def old(kind: Any, **more: Any) -> Protection:
    return kind({"2026-11": OLD}, current="2026-11", **more)


def both(kind: Any, current: str) -> Protection:
    return kind({"2026-11": OLD, "2027-05": NEW}, current=current)


def new(kind: Any) -> Protection:
    return kind({"2027-05": NEW}, current="2027-05")


async def send(app: App, text: str = CANARY, task: str = "echo", **options: Any) -> Any:
    return await app.tasks.get(task).options(**options).enqueue(text)


async def only_dead(app: App, queue: str = "default") -> JobInfo:
    (dead,) = await app.inspector.dead(queue)
    return dead


def everything(redis: Redis, namespace: str) -> bytes:
    """Every key of the namespace with all it holds."""
    found: list[Any] = []
    for key in redis.scan_iter(f"{namespace}:*"):
        kind = redis.type(key)
        if kind == b"hash":
            found.append(redis.hgetall(key))
        elif kind == b"stream":
            found.append(redis.xrange(key))
        elif kind == b"zset":
            found.append(redis.zrange(key, 0, -1))
        elif kind == b"string":
            found.append(redis.get(key))
        found.append(key)
    return repr(found).encode()


def stream(app: App, queue: str = "default") -> str:
    return f"{app.store.namespace}:{{{queue}}}:stream:normal"


def first_call(redis: Redis, app: App) -> bytes:
    """The call of the first entry, as it stands in the stream."""
    entries: Any = redis.xrange(stream(app))
    return entries[0][1][b"m"]
