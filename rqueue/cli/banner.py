"""What a worker says when it starts: one line for each fact."""

from __future__ import annotations

import logging

from rqueue import __version__
from rqueue.app import App
from rqueue.cli.discovery import Found
from rqueue.cli.options import Logging
from rqueue.cli.output import note
from rqueue.config import WorkerConfig, shown
from rqueue.errors import StoreUnavailable
from rqueue.store.serverfacts import ServerFacts, ask_server, facts_of, problems_of, refuse
from rqueue.worker.servercheck import wants_fsync

_NAMES_SHOWN = 10
_PATIENCE_S = 2.0
"""How long a server that does not answer is asked again before we start without it."""


def announce_worker(
    found: Found, config: WorkerConfig, processes: int, logs: Logging, *, with_scheduler: bool
) -> None:
    """Say which app, which Redis, which queues and tasks, and whether a scheduler comes along.

    Raises:
        ConfigError: that Redis would break a promise.
        StoreError: it refuses us.
    """
    app = found.app
    names = app.tasks.names()
    listed = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    queues = ", ".join(
        f"{share.name}:{share.weight}" if config.is_weighted else share.name
        for share in config.queues
    )
    server = _announce(
        "worker",
        found,
        {
            "queues": queues,
            "concurrency": f"{config.concurrency} in each of {processes} processes"
            if processes > 1
            else f"{config.concurrency}",
            "tasks": f"{len(names)}: {listed}" if names else "none: is App(imports=[...]) set?",
            "scheduler": "comes along"
            if with_scheduler
            else "none here: delayed jobs and retries wait for one (rqueue scheduler)",
        },
        logs,
    )
    if server is not None:
        refuse(problems_of(server, wants_fsync=wants_fsync(app)), force=config.force)


def announce_scheduler(found: Found, logs: Logging) -> None:
    """Say which app and which Redis; the scheduler looks at that itself.

    Raises:
        StoreError: Redis refuses us.
    """
    _announce("scheduler", found, {}, logs)


def check_first(app: App, *, force: bool) -> None:
    """What ``announce_worker`` checks, without a word: no child is started to be refused.

    Raises:
        ConfigError: the server would break a promise.
        StoreError: it refuses us.
    """
    if (server := _ask(app)) is not None:
        refuse(problems_of(server, wants_fsync=wants_fsync(app)), force=force)


def _announce(role: str, found: Found, facts: dict[str, str], logs: Logging) -> ServerFacts | None:
    server = _ask(found.app)
    store = found.app.store
    what = "does not answer yet" if server is None else f"{server.product} {server.version}"
    redis = f"{shown(store.url)} ({what}), namespace {store.namespace}"
    lines = {"app": found.spec or "none", "redis": redis, **facts}
    if logs.log_format == "json":
        logging.getLogger("rqueue").info(
            "rqueue %s %s: %s",
            __version__, role, "; ".join(f"{name} {value}" for name, value in lines.items()),
        )  # fmt: skip
    else:
        note(f"rqueue {__version__} {role}")
        for name, value in lines.items():
            note(f"  {name:<12} {value}")
    return server


def _ask(app: App) -> ServerFacts | None:
    """What the server says of itself; None = it is away, and whoever starts waits for it."""
    transport = app.connections.blocking()
    try:
        return facts_of(transport.send_many(ask_server(), _PATIENCE_S))
    except StoreUnavailable:
        return None
    finally:
        app.close_sync()
