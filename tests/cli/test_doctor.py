"""``rqueue doctor``: what it prints, its JSON, its exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from rqueue.doctor.report import CHECKS
from tests.cli.commands import Ran
from tests.support.clients import client
from tests.support.servers import Server

Cli = Callable[..., Ran]
SOUND = {"maxmemory": "512mb", "maxmemory-policy": "noeviction", "slowlog-log-slower-than": "-1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(data_dir=tmp_path, config=SOUND) as server:
        yield server


@pytest.fixture
def redis(server: Server) -> Iterator[Redis]:
    with client(server.url) as redis:
        yield redis


@pytest.fixture
def doctor(cli: Cli, server: Server) -> Cli:
    """One look: a real pause would only take time."""
    return lambda *words: cli("doctor", "--trend", "0", "-u", server.url, *words)


def test_a_sound_server_is_exit_code_0_and_each_check_one_line(doctor: Cli) -> None:
    ran = doctor()

    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[1] for line in lines if line.startswith("ok ")] == [c.id for c in CHECKS]
    assert lines[-1] == (
        f"{len(CHECKS)} checks: 0 failure, 0 warning, 0 notice, 0 unknown, {len(CHECKS)} ok"
    )
    assert "\x1b" not in ran.out


def test_what_is_wrong_stands_first_with_its_reason_and_what_mends_it(
    doctor: Cli, redis: Redis
) -> None:
    redis.config_set("appendfsync", "no")
    redis.config_set("maxmemory", 1000)
    lines = doctor().out.splitlines()

    assert [line for line in lines if line and line[0] in "FW"] == [
        "FAILURE   memory.used",
        "WARNING   persistence.disk",
    ]
    assert lines[2].startswith("FAILURE")
    margin = " " * 10
    told = lines[lines.index("WARNING   persistence.disk") + 1 :][:4]
    assert told == [
        f"{margin}append-only file, appendfsync no: a crash loses what the kernel had not written,",
        "          some 30 seconds",
        "          It is what a restart keeps, and which durability there is.",
        "          -> CONFIG SET appendfsync everysec",
    ]
    assert doctor().code == 1


def test_a_warning_is_a_failure_if_that_is_wanted(doctor: Cli, redis: Redis) -> None:
    redis.config_set("timeout", 5)

    assert doctor().code == 0
    assert doctor("--strict").code == 1


def test_the_json_has_every_check_and_every_family(doctor: Cli, redis: Redis) -> None:
    redis.config_set("timeout", 5)
    redis.set("elsewhere", "x")
    told = doctor("--json").data

    assert list(told) == [
        "format", "status", "url", "namespace", "looked_s", "findings", "memory",
    ]  # fmt: skip
    assert (told["format"], told["status"], told["looked_s"]) == (1, "warning", 0)
    assert told["findings"][0] == {
        "id": "server.timeout",
        "status": "warning",
        "found": "idle clients are hung up on after 5 s",
        "why": "Hung-up connections cost a trip each to make again.",
        "fix": "CONFIG SET timeout 0",
        "about": [],
    }
    assert {one["id"] for one in told["findings"]} == {check.id for check in CHECKS}
    assert list(told["memory"]) == [
        "used_bytes", "max_bytes", "bytes_per_minute", "keys", "listed", "refused", "families",
    ]  # fmt: skip
    (family,) = told["memory"]["families"]
    assert (family["name"], family["keys"], family["is_exact"]) == ("others", 1, True)
    assert sorted(family) == [
        "bytes", "bytes_per_minute", "is_exact", "keys", "name", "share",
    ]  # fmt: skip


def test_two_looks_are_announced_and_tell_what_grows(cli: Cli, server: Server) -> None:
    ran = cli("doctor", "--trend", "50ms", "-u", server.url)

    assert ran.err == "looking again in 0.05 s, for the trend\n"
    assert "a minute" in ran.out
    assert "of a core" in ran.out


def test_all_says_of_each_check_why_it_matters(doctor: Cli) -> None:
    out = " ".join(doctor("--all").out.split())

    assert [check.id for check in CHECKS if check.why not in out] == []


def test_a_role_that_the_user_cannot_be_is_exit_code_1(
    cli: Cli, server: Server, redis: Redis
) -> None:
    rules = "on >secret ~* -@all +acl|dryrun +acl|whoami +client|setname +ping +time"
    redis.execute_command("ACL", "SETUSER", "me", *rules.split())
    url = server.url.replace("unix://", "unix://me:secret@")

    ran = cli("doctor", "--trend", "0", "-u", url, "--role", "worker")
    assert ran.code == 1
    assert "FAILURE   connection.rights" in ran.out
    assert "secret" not in ran.out
    assert cli("doctor", "--trend", "0", "-u", url).code == 0
    assert cli("doctor", "--trend", "0", "-u", url, "--strict").code == 1


def test_a_server_that_is_not_there_is_exit_code_4(cli: Cli) -> None:
    ran = cli("doctor", "-u", "redis://127.0.0.1:1/0")

    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("Error: ")


def test_a_stranger_s_name_does_not_drive_the_terminal(doctor: Cli, redis: Redis) -> None:
    redis.sadd("rqueue:queues", "mail")
    redis.hset("rqueue:workers", "\x1b[31mred", b"\x81\xa6queues\x91\xa4mail")

    assert "\x1b" not in doctor("--namespace", "rqueue").out
