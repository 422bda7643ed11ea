"""Each role of the ACL file does all of its work, and nothing that it must not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from rqueue import App
from tests.deploy.roles import LIVES, Life
from tests.support.clients import client
from tests.support.servers import FLAVOURS, Server, available_flavours, binary_of

FILE = Path(__file__).resolve().parents[2] / "deploy" / "redis" / "users.acl"
PREFIX = "rqueue-"
_WRITES = [
    "HSET rqueue:{default}:meta paused 1", "XADD rqueue:{default}:stream:low * m x",
    "DEL rqueue:queues",
]  # fmt: skip
FORBIDDEN = {
    "producer": ["XREADGROUP GROUP workers me STREAMS rqueue:{default}:stream:normal >"],
    "worker": ["SMEMBERS rqueue:queues", "ZREVRANGE rqueue:{default}:dead 0 -1"],
    "scheduler": ["XREADGROUP GROUP workers me STREAMS rqueue:{default}:stream:normal >"],
    "exporter": [*_WRITES, "EVAL return(1) 0"],
    "admin": ["XREADGROUP GROUP workers me STREAMS rqueue:{default}:stream:normal >"],
    "doctor": _WRITES,
}
NOBODY = [
    "FLUSHALL", "KEYS *", "CONFIG SET maxmemory 1", "SHUTDOWN NOSAVE", "GET other:key",
    "ACL LIST", "SWAPDB 0 1", "MONITOR", "REPLICAOF NO ONE", "SCAN 0", "SET other:key 1",
    "SUBSCRIBE other:news", "PSUBSCRIBE *", "PUBLISH other:news 1", "SCRIPT FLUSH",
    "CLIENT KILL TYPE normal", "XGROUP DESTROY rqueue:{default}:stream:normal workers",
    "RENAME rqueue:queues rqueue:gone", "UNLINK rqueue:queues", "MODULE LIST", "SAVE",
]  # fmt: skip
LISTS_KEYS = {"doctor": "SCAN 0", "exporter": "SCAN 0"}
"""Who may do one of these after all: it weighs samples of whatever takes the memory."""


def rules() -> dict[str, list[str]]:
    """Each role's, without its password."""
    lines = (line.split() for line in FILE.read_text().splitlines())
    return {
        words[1].removeprefix(PREFIX): [word for word in words[2:] if word[0] != ">"]
        for words in lines
        if words[1].startswith(PREFIX)
    }


@pytest.fixture(params=FLAVOURS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One of its own: a producer may want every write on disk."""
    binary_of(request.param)
    with Server(request.param, tcp=True, data_dir=tmp_path, appendfsync="always") as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[Redis]:
    with client(server.url) as redis:
        yield redis


def url_of(role: str, server: Server, admin: Redis) -> str:
    """The server's, for a user of this role that was just made."""
    words = rules()[role]
    admin.execute_command("ACL", "SETUSER", role, ">secret", *words)
    if "+wait" in words and server.flavour == "valkey9":  # the others know no such command
        admin.execute_command("ACL", "SETUSER", role, "+waitaof")
    admin.execute_command("ACL", "LOG", "RESET")
    return server.url.replace("redis://", f"redis://{role}:secret@")


@pytest.mark.parametrize(("role", "life"), LIVES.items())
async def test_a_role_does_all_of_its_work_and_is_never_refused(
    role: str, life: Life, server: Server, admin: Redis
) -> None:
    mine, others = App(url_of(role, server, admin)), App(server.url)
    try:
        async with asyncio.timeout(60):
            await life(mine, others)
    finally:
        await mine.close()
        await others.close()

    assert admin.execute_command("ACL", "LOG") == []


@pytest.mark.parametrize("role", LIVES)
def test_what_a_role_must_not_is_refused(role: str, server: Server, admin: Redis) -> None:
    refused: list[str] = []
    forbidden = [one for one in (*FORBIDDEN[role], *NOBODY) if one != LISTS_KEYS.get(role)]
    with client(url_of(role, server, admin)) as redis:
        for words in forbidden:
            try:
                redis.execute_command(*words.split())
            except NoPermissionError:
                refused.append(words)

    assert refused == forbidden


def test_the_file_is_one_that_every_server_takes(tmp_path: Path) -> None:
    for flavour in available_flavours():
        (tmp_path / "users.acl").write_text(
            FILE.read_text().replace("default off", "default on nopass +@all")
        )
        config = {"aclfile": str(tmp_path / "users.acl")}
        with Server(flavour, config=config) as server, client(server.url) as redis:
            found: list[str | bytes] = redis.execute_command("ACL", "USERS")  # pyright: ignore[reportAssignmentType]

        assert sorted(map(_text, found)) == ["default", *sorted(PREFIX + role for role in LIVES)]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
