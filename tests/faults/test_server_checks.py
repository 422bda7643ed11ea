"""A server that would break a promise: refused at the start in one line, unless forced."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.config import StoreConfig, WorkerConfig
from rqueue.errors import ConfigError
from rqueue.store import serverfacts
from rqueue.worker.scheduler import Scheduler
from rqueue.worker.worker import Worker
from tests.cli.commands import TASKS, Project
from tests.support.owned import own, redis
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_S
from tests.support.working import SHORT

__all__ = ["own", "redis"]

pytestmark = pytest.mark.fault

Line = pytest.LogCaptureFixture


@pytest.fixture
def project(tmp_path: Path, own: Server, namespace: str) -> Project:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Project(tmp_path, own.url, namespace)


async def work(url: str, **config: Any) -> None:
    """A worker that ends by itself."""
    app = App(url)
    async with asyncio.timeout(PATIENCE_S):
        await Worker(app, WorkerConfig(burst=True, lease=SHORT, **config)).run()


async def schedule(url: str, **settings: Any) -> None:
    """A scheduler that is stopped once it serves."""
    scheduler = Scheduler(App(url), lease=SHORT, **settings)
    running = asyncio.create_task(scheduler.run())
    ready = asyncio.create_task(scheduler.ready.wait())
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        scheduler.stop()
        await running


def lines(caplog: Line, level: int) -> list[str]:
    found = [one.message for one in caplog.records if one.levelno == level]
    return [line for line in found if "left queue" not in line]


@pytest.mark.parametrize("part", [work, schedule])
async def test_a_policy_that_throws_jobs_away_is_refused(
    own: Server, redis: Redis, part: Any
) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(ConfigError, match=r"is allkeys-lru: .*noeviction.*--force, or force=True"):
        await part(own.url)

    # Nobody has joined: not one key was written.
    assert redis.keys("*") == []


@pytest.mark.parametrize("part", [work, schedule])
async def test_a_server_that_is_too_old_is_refused(
    own: Server, redis: Redis, part: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = dict.fromkeys(("Redis", "Valkey"), (99, 0))
    monkeypatch.setattr(serverfacts, "_OLDEST", newer)  # as it is to a release of later times

    with pytest.raises(ConfigError, match=r"is too old: .*Upgrade it"):
        await part(own.url)

    assert redis.keys("*") == []


@pytest.mark.parametrize("part", [work, schedule])
async def test_a_policy_that_throws_results_away_is_warned_of(
    own: Server, redis: Redis, part: Any, caplog: Line
) -> None:
    redis.config_set("maxmemory-policy", "volatile-lru")

    await part(own.url)

    (line,) = lines(caplog, logging.WARNING)
    assert line.startswith("maxmemory-policy is volatile-lru: ")


@pytest.mark.parametrize("part", [work, schedule])
async def test_a_replica_is_refused_with_the_address_of_its_primary(
    own: Server, redis: Redis, part: Any
) -> None:
    with Server(own.flavour, tcp=True) as primary:
        port = primary.url.rpartition(":")[2].partition("/")[0]
        redis.execute_command("REPLICAOF", "127.0.0.1", port)

        with pytest.raises(ConfigError, match=f"replica of 127.0.0.1:{port}: .*Connect to"):
            await part(own.url)


@pytest.mark.parametrize("part", [work, schedule])
async def test_who_forces_it_is_warned_loudly(
    own: Server, redis: Redis, part: Any, caplog: Line
) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")

    await part(own.url, force=True)

    (line,) = lines(caplog, logging.WARNING)
    assert line.startswith("FORCED TO RUN: maxmemory-policy is allkeys-lru: ")


@pytest.mark.parametrize("part", [work, schedule])
async def test_a_server_that_keeps_nothing_is_only_noted(
    own: Server, redis: Redis, part: Any, caplog: Line
) -> None:
    caplog.set_level(logging.INFO, "rqueue")

    await part(own.url)

    assert [one for one in lines(caplog, logging.INFO) if "outlive" in one]
    caplog.clear()
    redis.config_set("save", "3600 1")
    await part(own.url)
    assert not [one for one in lines(caplog, logging.INFO) if "outlive" in one]


@pytest.mark.parametrize("part", [work, schedule])
async def test_a_user_who_may_not_ask_is_not_refused(
    own: Server, redis: Redis, part: Any, caplog: Line
) -> None:
    caplog.set_level(logging.INFO, "rqueue")
    redis.config_set("maxmemory-policy", "allkeys-lru")
    rules = ("on", "nopass", "~*", "&*", "+@all", "-info", "-config")
    redis.execute_command("ACL", "SETUSER", "poor", *rules)

    await part(own.url.replace("unix://", "unix://poor:any@"))

    assert [one for one in lines(caplog, logging.INFO) if "answer INFO and CONFIG GET," in one]


async def test_a_scheduler_looks_at_a_server_that_was_away_when_it_comes(
    own: Server, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.scheduler.DISCOVER_S", 0.05)
    redis.config_set("maxmemory-policy", "allkeys-lru")
    redis.execute_command("CONFIG", "REWRITE")
    own.kill()
    app = App(own.url)
    app.store = StoreConfig(url=own.url, retry_s=0)
    running = asyncio.create_task(Scheduler(app, lease=SHORT).run())
    await asyncio.wait({running}, timeout=0.3)
    assert not running.done()

    own.restart()

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(ConfigError, match="allkeys-lru"):
            await running


@pytest.mark.parametrize(
    "words",
    [
        ("worker", "--burst"),
        ("worker", "--burst", "--no-banner"),
        ("worker", "--burst", "--with-scheduler", "--no-banner"),
        ("worker", "-p", "2"),
        ("worker", "-p", "2", "--no-banner"),
        ("scheduler",),
    ],
    ids=" ".join,
)
def test_a_command_is_refused_once_in_one_line_with_exit_code_2(
    project: Project, redis: Redis, words: tuple[str, ...]
) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")

    ran = project.run(*words)

    assert ran.code == 2
    (line,) = (line for line in ran.err.splitlines() if "allkeys-lru" in line)
    assert line.startswith("Error: maxmemory-policy is allkeys-lru: ")
    assert "Traceback" not in ran.err
    assert "never retrieved" not in ran.err
    assert redis.keys("*") == []


@pytest.mark.parametrize("more", [(), ("-p", "2"), ("-p", "2", "--no-banner")], ids=" ".join)
def test_a_command_whose_app_is_to_be_durable_is_refused_before_a_child_is_started(
    project: Project, more: tuple[str, ...]
) -> None:
    durable = '@app.task(durability="fsync")\nasync def charge() -> None: ...\n'
    (project.folder / "tasks.py").write_text(TASKS + durable)

    ran = project.run("worker", "--burst", *more)

    assert (ran.code, ran.err.count("does not force every write to disk")) == (2, 1)
    assert "does not force every write to disk" in project.run("ping", "-A", "tasks").err


@pytest.mark.parametrize("more", [(), ("-p", "2"), ("--with-scheduler",)], ids=" ".join)
@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_command_that_is_forced_runs_with_a_warning(
    project: Project, redis: Redis, more: tuple[str, ...], how: str
) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    flag, env = (("--force",), {}) if how == "flag" else ((), {"RQUEUE_WORKER_FORCE": "1"})

    ran = project.run("worker", "--burst", *more, *flag, env=env)

    assert ran.code == 0
    assert ran.err.count("FORCED TO RUN: maxmemory-policy is allkeys-lru") == (2 if more else 1)
    assert "Error" not in ran.err


def test_ping_tells_what_a_worker_would_refuse(project: Project, redis: Redis) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")

    ran = project.run("ping")

    assert ran.code == 0
    assert "Warning: maxmemory-policy is allkeys-lru: " in ran.err
    assert "Note: Jobs do not outlive this server" in ran.err


def test_dev_passes_on_that_it_is_forced(project: Project, redis: Redis) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")

    with project.start("dev", "--no-reload", "--url", project.url) as dev:
        dev.says("Error: maxmemory-policy is allkeys-lru: ")
        dev.says("The worker has ended")
    with project.start("dev", "--no-reload", "--url", project.url, "--force") as dev:
        dev.says("FORCED TO RUN: maxmemory-policy is allkeys-lru: ")


def test_a_scheduler_is_forced_by_its_flag(project: Project, redis: Redis) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")

    with project.start("scheduler", "--force") as scheduler:
        scheduler.says("FORCED TO RUN: maxmemory-policy is allkeys-lru: ")
        scheduler.send(signal.SIGTERM)
        assert scheduler.ends() == 0


async def test_a_worker_that_is_to_be_durable_asks_for_a_server_that_writes_to_disk(
    own: Server, namespace: str
) -> None:
    """A server without an append-only file keeps nothing, whatever an enqueue waits for."""
    app = App(own.url, namespace=namespace, durability="fsync")
    other = App(own.url, namespace=namespace)

    @other.task(durability="fsync")
    async def charge() -> None:
        """Never run."""

    for one in (app, other):
        with pytest.raises(ConfigError, match="does not force every write to disk"):
            await Worker(one, WorkerConfig(burst=True, lease=SHORT)).run()
