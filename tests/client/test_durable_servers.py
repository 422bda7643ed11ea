"""Durability: what a server can promise, what it cannot, and what becomes of it later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rqueue.app import App
from rqueue.durability import Durability, durability_of
from rqueue.errors import ConfigError, NotDurable, StoreUnavailable
from rqueue.store.calls.durability import confirmation
from rqueue.store.scripts import ENQUEUE
from rqueue.store.transport import Transport
from tests.support.clients import client
from tests.support.durable import HASTY, both_ways, enqueue
from tests.support.proxy import Proxy
from tests.support.servers import FLAVOURS, Server, only_valkey
from tests.support.waiting import PATIENCE_S

OLD = ("redis7", "redis62")


@pytest.fixture
async def strict(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """An app that wants the disk, on a server of its own: (flavour, its directives)."""
    flavour, config = request.param
    data_dir = None if config.get("appendonly") == "no" else tmp_path
    with Server(flavour, config=config, data_dir=data_dir) as server:
        app = App(server.url, durability=Durability(mode="fsync", timeout_s=0.2))
        yield app
        await app.close()


@both_ways
@pytest.mark.parametrize(
    ("strict", "why"),
    [
        *(((one, {"appendonly": "no"}), "needs an append-only file") for one in FLAVOURS),
        *(((one, {}), "needs appendfsync always .* has appendfsync everysec") for one in OLD),
        *(
            (
                (one, {"appendfsync": "always", "no-appendfsync-on-rewrite": "yes"}),
                "needs no-appendfsync-on-rewrite no .* has no-appendfsync-on-rewrite yes",
            )
            for one in OLD
        ),
    ],
    indirect=["strict"],
)
async def test_a_server_that_cannot_promise_the_disk_is_refused_before_anything_is_written(
    strict: App, why: str, blocking: bool
) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match=why):
            await enqueue(strict, blocking=blocking)
        with pytest.raises(ConfigError, match=why):
            await strict.enqueue_many([strict.remote("x").call()])

    with client(strict.store.url) as redis:
        assert redis.dbsize() == 0


@both_ways
@pytest.mark.parametrize(
    "strict",
    [*((one, {"appendfsync": "always"}) for one in FLAVOURS), ("valkey9", {})],
    indirect=True,
)
async def test_what_the_disk_has_is_said_by_the_handle(strict: App, blocking: bool) -> None:
    patient = Durability(mode="fsync", timeout_s=PATIENCE_S)

    jobs = [
        await enqueue(strict, blocking=blocking, job_id="x", durability=patient) for _ in range(2)
    ]

    assert [(job.status, job.durability) for job in jobs] == [
        ("accepted", "fsync"),
        ("duplicate", "fsync"),
    ]


@both_ways
@pytest.mark.parametrize("strict", [("valkey9", {"appendfsync": "no"})], indirect=True)
async def test_a_job_that_the_disk_does_not_have_is_not_durable_however_often_it_is_sent(
    strict: App, blocking: bool
) -> None:
    other = App(strict.store.url, durability=strict.durability)
    for sender in (strict, strict, other):
        with pytest.raises(NotDurable, match=r"job 'mine': 0 of 1 disks had the enqueue in time"):
            await enqueue(sender, blocking=blocking, job_id="mine")
    await other.close()


@pytest.mark.parametrize("strict", [("valkey9", {})], indirect=True)
async def test_an_append_only_file_that_was_switched_off_later_is_told(strict: App) -> None:
    with client(strict.store.url) as redis:
        await enqueue(strict, blocking=False)
        redis.config_set("appendonly", "no")

        with pytest.raises(ConfigError, match="needs an append-only file, and this Redis keeps"):
            await enqueue(strict, blocking=False)


@both_ways
@pytest.mark.parametrize(
    ("flavour", "mode", "forbidden"),
    [
        *((one, "replicated", "wait") for one in FLAVOURS),
        ("valkey9", "fsync", "waitaof"),
        *((one, "fsync", word) for one in OLD for word in ("info", "config")),
    ],
)
async def test_a_question_that_is_forbidden_is_said_before_anything_is_written(
    flavour: str, mode: str, forbidden: str, tmp_path: Path, *, blocking: bool
) -> None:
    with (
        Server(flavour, data_dir=tmp_path, appendfsync="always") as server,
        client(server.url) as redis,
    ):
        rules = ("on", "nopass", "~*", "&*", "+@all", f"-{forbidden}")
        redis.execute_command("ACL", "SETUSER", "narrow", *rules)
        chosen: Any = mode
        app = App(server.url.replace("unix://", "unix://narrow:any@"), durability=chosen)

        with pytest.raises(ConfigError, match=rf"Redis refused: .*{forbidden}.* Grant \+"):
            await enqueue(app, blocking=blocking)

        assert redis.dbsize() == 0
        await app.close()


@only_valkey
async def test_a_server_is_asked_once_what_it_can_promise(url: str, namespace: str) -> None:
    with Proxy(url) as proxy:
        app = App(proxy.url, namespace=namespace, durability=HASTY)
        app.remote("x").options(durability="local").enqueue_sync()
        for blocking in (True, False, True, False):
            with pytest.raises(NotDurable):
                await enqueue(app, blocking=blocking)

        waits = [one for one in proxy.requests if b"WAIT" in one]
        assert [ENQUEUE.sha.encode() in one for one in waits] == [False, True, True, True, True]
        await app.close()


@only_valkey
async def test_a_wait_on_a_server_that_became_a_replica_is_tried_again(url: str) -> None:
    with Server("valkey9", tcp=True) as primary, Server("valkey9") as server:
        host, _, port = primary.url.removeprefix("redis://").removesuffix("/0").partition(":")
        with client(server.url) as redis:
            redis.execute_command("REPLICAOF", host, port)
        store = msgspec.structs.replace(App(server.url).store, retry_s=0.0)

        for mode in ("fsync", "replicated"):
            with pytest.raises(StoreUnavailable):
                Transport(store).run(confirmation(durability_of(mode)))
