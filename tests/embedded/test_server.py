"""What an embedded server does while it lives."""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from rqueue.embedded import EmbeddedServer, EmbeddedServerError
from rqueue.embedded import server as server_module
from tests.support.clients import client
from tests.support.loading import KEYS, SLOW, fill
from tests.support.servers import FLAVOURS, Server

NO_RETRY = Retry(NoBackoff(), 0)


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_server_answers_at_its_url_and_is_gone_after_stop(flavour: str, tcp: bool) -> None:
    with Server(flavour, tcp=tcp) as server, client(server.url) as redis:
        assert redis.ping()
        assert redis.info("server")["process_id"] == server.pid
        assert server.directory.stat().st_mode & 0o777 == 0o700

    assert not server.directory.exists()
    with client(server.url) as redis, pytest.raises(exceptions.ConnectionError):
        redis.ping()


def test_a_server_on_a_port_listens_on_loopback_only() -> None:
    with EmbeddedServer(tcp=True) as server, client(server.url) as redis:
        assert redis.config_get("bind") == {"bind": "127.0.0.1"}


def test_a_server_without_a_port_listens_on_none() -> None:
    with EmbeddedServer() as server, client(server.url) as redis:
        assert redis.config_get("port") == {"port": "0"}


def test_many_servers_started_at_once_are_different_servers() -> None:
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        started = [pool.submit(EmbeddedServer.start, tcp=bool(n % 2)) for n in range(8)]
        servers = [stack.enter_context(future.result()) for future in started]
        clients = [stack.enter_context(client(server.url)) for server in servers]

        for number, redis in enumerate(clients):
            redis.set("number", number)

        assert [redis.get("number") for redis in clients] == [b"%d" % n for n in range(8)]
        assert [redis.dbsize() for redis in clients] == [1] * 8


def test_another_port_is_taken_when_the_first_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        lost = occupied.getsockname()[1]
        free = server_module._free_port()
        ports = iter([lost, lost, free])
        monkeypatch.setattr(server_module, "_free_port", lambda: next(ports))

        with EmbeddedServer(tcp=True) as server:
            assert server.url == f"redis://127.0.0.1:{free}/0"


def test_a_port_that_is_never_free_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        monkeypatch.setattr(server_module, "_free_port", lambda: occupied.getsockname()[1])

        with pytest.raises(EmbeddedServerError, match="Address already in use"):
            EmbeddedServer.start(tcp=True)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_data_in_a_data_dir_outlives_the_server(flavour: str, tmp_path: Path) -> None:
    data = tmp_path / 'deep/er "with" späces\\'

    with Server(flavour, data_dir=data) as server, client(server.url) as redis:
        redis.set("kept", "yes")
    with Server(flavour, data_dir=data) as server, client(server.url) as redis:
        assert redis.get("kept") == b"yes"


def test_data_without_a_data_dir_does_not_outlive_the_server() -> None:
    server = EmbeddedServer()

    with server, client(server.url) as redis:
        redis.set("kept", "no")
    with server, client(server.url) as redis:
        assert redis.get("kept") is None


def test_two_servers_cannot_share_a_data_dir(tmp_path: Path) -> None:
    with EmbeddedServer(data_dir=tmp_path) as first, client(first.url) as redis:
        with pytest.raises(
            EmbeddedServerError, match=f"in use by the server of process {os.getpid()}"
        ):
            EmbeddedServer.start(data_dir=tmp_path / "." / "")

        assert redis.ping()


@pytest.mark.parametrize("fsync", ["always", "everysec", "no"])
def test_appendfsync_is_as_asked_for(fsync, tmp_path: Path) -> None:
    with (
        EmbeddedServer(data_dir=tmp_path, appendfsync=fsync) as server,
        client(server.url) as redis,
    ):
        assert redis.config_get("appendonly") == {"appendonly": "yes"}
        assert redis.config_get("appendfsync") == {"appendfsync": fsync}


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_killed_server_comes_back_with_its_data_at_the_same_url(flavour: str, tcp: bool) -> None:
    with Server(flavour, tcp=tcp, config={"appendonly": "yes"}) as server:
        url, pid = server.url, server.pid
        with client(server.url) as redis:
            redis.set("kept", "yes")

        server.kill()

        with client(server.url) as redis, pytest.raises(exceptions.ConnectionError):
            redis.ping()
        server.restart()
        with client(server.url) as redis:
            assert redis.get("kept") == b"yes"
        assert server.url == url
        assert server.pid != pid


def test_restart_ends_a_running_server_cleanly_first() -> None:
    with EmbeddedServer(config={"appendonly": "yes", "appendfsync": "no"}) as server:
        pid = server.pid
        with client(server.url) as redis:
            redis.set("kept", "yes")

        server.restart()

        with client(server.url) as redis:
            assert redis.get("kept") == b"yes"
        assert server.pid != pid
        assert "ready to exit" in (server.directory / "server.log").read_text()


def test_a_server_that_died_unasked_can_be_restarted() -> None:
    with EmbeddedServer() as server:
        os.kill(server.pid, signal.SIGKILL)

        server.restart()

        with client(server.url) as redis:
            assert redis.ping()


def test_a_server_with_a_password_is_ready_too() -> None:
    with EmbeddedServer(config={"requirepass": "open-sesame"}) as server:
        with client(server.url) as redis, pytest.raises(exceptions.AuthenticationError):
            redis.ping()
        with Redis.from_url(server.url, password="open-sesame") as redis:
            assert redis.ping()


@pytest.mark.parametrize(
    "access",
    [
        {"requirepass": "open-sesame"},
        {"user": "default on >open-sesame ~* +@all"},
        {"user": "default on >open-sesame nopass ~* +@all -ping", "loglevel": "verbose"},
        {},
    ],
    ids=["password", "acl", "no ping", "open"],
)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_server_is_not_ready_before_it_has_loaded_its_data(
    flavour: str, access: dict[str, str], tmp_path: Path
) -> None:
    with (
        Server(flavour, data_dir=tmp_path, config=SLOW | access) as server,
        Redis.from_url(server.url, password="open-sesame" if access else None) as redis,
    ):
        fill(redis)

        server.restart()

        with Redis.from_url(server.url, password="open-sesame", retry=NO_RETRY) as first:
            assert first.dbsize() == KEYS


def test_a_wished_port_is_taken_if_it_is_free() -> None:
    with EmbeddedServer(tcp=True) as first:
        with EmbeddedServer(tcp=True, port=first.port) as second:
            assert second.port != first.port
        wished = first.port
    with EmbeddedServer(tcp=True, port=wished) as third, client(third.url) as redis:
        assert (third.port, redis.ping()) == (wished, True)


def test_directives_of_several_words_are_written_as_given() -> None:
    users = {"user": "reader on nopass ~* +get +ping"}

    with EmbeddedServer(config=users | {"SAVE": "900 1"}) as server, client(server.url) as redis:
        assert "reader" in redis.acl_users()
        assert redis.config_get("save") == {"save": "900 1"}
