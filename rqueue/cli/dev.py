"""``rqueue dev``: all that a project needs while it is written, in one terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from rqueue.cli.options import (
    Logging,
    Target,
    bundled,
    duration,
    option,
    with_force,
    with_logging,
    with_target,
)

FOLDER = Path(".rqueue")
"""Where the data is kept, in the current folder."""


@dataclass(frozen=True)
class Developing:
    """What is run and watched."""

    queues: str
    concurrency: int
    grace: float
    reload: bool
    watched: tuple[str, ...]
    force: bool


with_developing = bundled(
    "developing",
    Developing,
    option("-q", "--queues", default="", help="As for rqueue worker."),
    option("-c", "--concurrency", default=10, help="Jobs at a time."),
    option("--grace", type=duration, default="2s", help="How long jobs may go on at a reload."),
    option("--reload/--no-reload", default=True, help="Start anew when a Python file changes."),
    option("--watch", "watched", multiple=True, default=["."], help="Folder to watch."),
    with_force,
)


@click.command()
@click.argument("app_name", metavar="[APP]", required=False)
@with_developing
@with_target
@with_logging
def dev(app_name: str | None, developing: Developing, target: Target, logs: Logging) -> None:
    """Run a Valkey, a worker and a scheduler for the app in this folder.

    The data is kept in .rqueue/, so jobs outlive the command. With --url it uses that Redis
    instead and starts none; RQUEUE_URL and REDIS_URL do not count here. What the worker runs is
    reloaded when a Python file changes.
    """
    from rqueue.cli.logs import log_to_stderr
    from rqueue.cli.serving import serve
    from rqueue.cli.worker import named

    log_to_stderr(logs)
    target = _without_inherited_url(named(target, app_name))
    if developing.reload:
        _check_watchfiles()
    with contextlib.ExitStack() as stack:
        url = target.url or stack.enter_context(_server())
        _introduce(url, is_ours=target.url is None)
        there = Target(target.app, url, target.namespace)
        serve(_develop(developing, there, logs))


def _without_inherited_url(target: Target) -> Target:
    """The target with a URL only if one was typed: ours may stand in the environment, or another's.

    Nothing may change in a Redis that happens to be named there.
    """
    source = click.get_current_context().get_parameter_source("url")
    is_typed = source is ParameterSource.COMMANDLINE
    return target if is_typed else Target(target.app, None, target.namespace)


def _check_watchfiles() -> None:
    from importlib.util import find_spec

    if find_spec("watchfiles") is None:
        raise click.UsageError(
            "reloading needs watchfiles: pip install 'rqueue[dev]', or use --no-reload"
        )


@contextlib.contextmanager
def _server() -> Generator[str]:
    """A server whose data is kept in this folder; its URL, the same at each start if it can be."""
    from rqueue.cli.output import note
    from rqueue.embedded import EmbeddedServer

    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n")
    port = FOLDER / "port"
    last = _last_port(port)
    with EmbeddedServer(tcp=True, port=last, data_dir=FOLDER / "data") as server:
        if last not in (0, server.port):
            note(f"Something else listens on port {last}, where the server was before:")
        port.write_text(f"{server.port}\n")
        noted = FOLDER / "url"
        noted.write_text(f"{server.url}\n")
        try:
            yield server.url
        finally:
            noted.unlink(missing_ok=True)


def _last_port(noted: Path) -> int:
    """The port of the start before, so that a URL in another terminal holds; 0 = any."""
    try:
        port = int(noted.read_text())
    except (OSError, ValueError):
        return 0
    return port if 1024 <= port < 65536 else 0


def _introduce(url: str, *, is_ours: bool) -> None:
    from rqueue.cli.output import note
    from rqueue.config import shown

    if not is_ours:
        note(f"rqueue dev uses {shown(url)}")
        return
    note(f"rqueue dev runs a server; its data is in {FOLDER}/. In another shell, say:")
    click.echo(f"export RQUEUE_URL={url}")


async def _develop(developing: Developing, target: Target, logs: Logging) -> int:
    from rqueue.cli.children import child_environment
    from rqueue.cli.reloading import Reloader
    from rqueue.cli.serving import on_signals

    watched = developing.watched if developing.reload else ()
    reloader = Reloader(arguments(developing, target, logs), child_environment(target), watched)
    on_signals(reloader.stop, "stops")
    return await reloader.run()


def arguments(developing: Developing, target: Target, logs: Logging) -> Sequence[str]:
    """What the worker is called with."""
    words = [
        "--queues", developing.queues,
        "--concurrency", str(developing.concurrency),
        "--processes", "1",
        "--grace", f"{developing.grace}s",
        "--with-scheduler",
        "--log-level", logs.log_level,
        "--log-format", logs.log_format,
        "--log-jobs" if logs.log_jobs else "--no-log-jobs",
    ]  # fmt: skip
    for flag, value in (("--app", target.app), ("--namespace", target.namespace)):
        if value is not None:
            words += [flag, value]
    if developing.force:
        words.append("--force")
    return words
